// SPDX-License-Identifier: MIT
import { Column, CreateDateColumn, Entity, JoinTable, ManyToMany, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';

@Entity('content_tags')
export class ContentTag {
    @PrimaryColumn('text') id: string;
    @Column('text', { unique: true }) name: string;
}

@Entity('contents')
export class Content {
    @PrimaryColumn('text') id: string;
    @Column('text', { name: 'creator_id' }) creatorId: string;
    @Column('text') title: string;
    @Column('integer', { name: 'view_count', default: 0 }) viewCount: number;
    @Column('integer', { name: 'like_count', default: 0 }) likeCount: number;
    @Column('integer', { name: 'share_count', default: 0 }) shareCount: number;
    @Column('double precision', { name: 'engagement_score', default: 0 }) engagementScore: number;
    @CreateDateColumn({ name: 'created_at', type: 'timestamptz' }) createdAt: Date;

    /* Loaded when somebody asks for it. */
    @ManyToMany(() => ContentTag, { lazy: true })
    @JoinTable({ name: 'content_tag_links', joinColumn: { name: 'content_id' }, inverseJoinColumn: { name: 'tag_id' } })
    tags: Promise<ContentTag[]>;
}

@Entity('user_interests')
export class UserInterest {
    @PrimaryGeneratedColumn() id: number;
    @Column('text', { name: 'user_id' }) userId: string;
    @Column('text', { name: 'tag_id' }) tagId: string;
}

@Entity('user_interactions')
export class UserInteraction {
    @PrimaryGeneratedColumn() id: number;
    @Column('text', { name: 'user_id' }) userId: string;
    @Column('text', { name: 'content_id' }) contentId: string;
    @Column('text') type: 'view' | 'like' | 'share';
}

export const entities = [Content, ContentTag, UserInterest, UserInteraction];
