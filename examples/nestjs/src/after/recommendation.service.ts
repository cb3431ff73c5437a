// SPDX-License-Identifier: MIT
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Cached, CircuitBreaker, Invalidates, Profiled } from 'sugarperf/nestjs';
import { In, Repository } from 'typeorm';
import { Content, ContentTag, UserInteraction, UserInterest } from '../entities';

const COUNTERS = { view: 'viewCount', like: 'likeCount', share: 'shareCount' } as const;

@Injectable()
export class RecommendationService {
    constructor(
        @InjectRepository(Content) private readonly contents: Repository<Content>,
        @InjectRepository(ContentTag) private readonly tags: Repository<ContentTag>,
        @InjectRepository(UserInterest) private readonly interests: Repository<UserInterest>,
        @InjectRepository(UserInteraction) private readonly interactions: Repository<UserInteraction>,
    ) {}

    @Profiled()
    @CircuitBreaker({ fallback: [] })
    @Cached({ key: 'rec:recommendations:{userId}:{limit}', ttl: '1h', tags: ['scores'],
        patterns: ['rec:recommendations:*', 'rec:recommendations:{userId}:*'] })
    async getRecommendations(userId: string, limit: number) {
        const interests = new Set((await this.interests.findBy({ userId })).map((interest) => interest.tagId));
        const contents = await this.contents.find({ order: { engagementScore: 'DESC', id: 'ASC' }, take: limit,
            relations: { tags: true }, relationLoadStrategy: 'query' });
        const found = [];

        for (const content of contents) {
            const tags = await content.tags;

            found.push({ ...view(content, tags), matches: tags.filter((tag) => interests.has(tag.id)).length });
        }
        return found;
    }

    @Profiled()
    @Cached({ key: 'rec:content:{id}:full', ttl: '24h', tags: ['scores'] })
    async getContent(id: string) {
        const content = await this.contents.findOneBy({ id });

        return content === null ? null : view(content, await content.tags);
    }

    @Invalidates({ patterns: ['rec:recommendations:*'] })
    async createContent({ id, creatorId, title, tags = [] }: NewContent) {
        const content = this.contents.create({ id, creatorId, title });

        content.tags = this.tags.findBy({ id: In(tags) });
        await this.contents.save(content);
        return view(content, await content.tags);
    }

    @Invalidates((_, { userId, contentId }: NewInteraction) => ({
        keys: [{ key: 'rec:content:{id}:full', params: [contentId] }], patterns: [{ pattern: 'rec:recommendations:{userId}:*', params: [userId] }] }))
    async interact({ userId, contentId, type }: NewInteraction) {
        await this.interactions.insert({ userId, contentId, type });
        await this.contents.increment({ id: contentId }, COUNTERS[type], 1);
    }

    @Invalidates({ tags: ['scores'] })
    async updateScores() {
        const update = await this.contents.createQueryBuilder().update().set({ engagementScore: () => SCORE }).execute();

        return update.affected;
    }
}

/* The document's formula. */
const SCORE = `(view_count + like_count * 5 + share_count * 10)
    / (1 + power(2::float8, -least(date_part('epoch', now() - created_at) / 86400, 1000)))`;

function view(content: Content, tags: ContentTag[]) {
    return { id: content.id, title: content.title, score: content.engagementScore, tags: tags.map((tag) => tag.name).sort() };
}

export interface NewContent {
    id: string;
    creatorId: string;
    title: string;
    tags?: string[];
}

export interface NewInteraction {
    userId: string;
    contentId: string;
    type: 'view' | 'like' | 'share';
}
