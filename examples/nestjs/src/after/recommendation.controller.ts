// SPDX-License-Identifier: MIT
import { Body, Controller, DefaultValuePipe, Get, NotFoundException, Param, ParseIntPipe, Post, Query } from '@nestjs/common';
import { NewContent, NewInteraction, RecommendationService } from './recommendation.service';

@Controller()
export class RecommendationController {
    constructor(private readonly service: RecommendationService) {}

    @Get('recommendations/:userId')
    recommendations(@Param('userId') userId: string, @Query('limit', new DefaultValuePipe(10), ParseIntPipe) limit: number) {
        return this.service.getRecommendations(userId, limit);
    }

    @Get('content/:id')
    async content(@Param('id') id: string) {
        const content = await this.service.getContent(id);

        if (content === null)
            throw new NotFoundException();
        return content;
    }

    @Post('content')
    create(@Body() content: NewContent) {
        return this.service.createContent(content);
    }

    @Post('interactions')
    interact(@Body() interaction: NewInteraction) {
        return this.service.interact(interaction);
    }

    @Post('admin/scores')
    async scores() {
        return { updated: await this.service.updateScores() };
    }
}
