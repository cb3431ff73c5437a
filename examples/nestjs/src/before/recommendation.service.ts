// SPDX-License-Identifier: MIT
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
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

    async getRecommendations(userId: string, limit: number) {
        const interests = new Set((await this.interests.findBy({ userId })).map((interest) => interest.tagId));
        const contents = await this.contents.find({ order: { engagementScore: 'DESC', id: 'ASC' }, take: limit });
        const found = [];

        for (const content of contents) {
            const tags = await content.tags;

            found.push({ ...view(content, tags), matches: tags.filter((tag) => interests.has(tag.id)).length });
        }
        return found;
    }

    async getContent(id: string) {
        const content = await this.contents.findOneBy({ id });

        return content === null ? null : view(content, await content.tags);
    }

    async createContent({ id, creatorId, title, tags = [] }: NewContent) {
        const content = this.contents.create({ id, creatorId, title });

        content.tags = this.tags.findBy({ id: In(tags) });
        await this.contents.save(content);
        return view(content, await content.tags);
    }

    async interact({ userId, contentId, type }: NewInteraction) {
        await this.interactions.insert({ userId, contentId, type });
        await this.contents.increment({ id: contentId }, COUNTERS[type], 1);
    }

    async updateScores() {
        const contents = await this.contents.find();

        for (const content of contents) {
            content.engagementScore = scoreOf(content);
            await this.contents.save(content);
        }
        return contents.length;
    }
}

/* The document's formula. */
function scoreOf({ viewCount, likeCount, shareCount, createdAt }: Content) {
    const days = Math.min((Date.now() - createdAt.getTime()) / 86400000, 1000);

    return (viewCount + likeCount * 5 + shareCount * 10) / (1 + 2 ** -days);
}

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
