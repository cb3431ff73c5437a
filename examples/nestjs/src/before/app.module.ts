// SPDX-License-Identifier: MIT
import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { entities } from '../entities';
import { HealthController } from './health.controller';
import { RecommendationController } from './recommendation.controller';
import { RecommendationService } from './recommendation.service';

@Module({
    imports: [
        TypeOrmModule.forRoot({
            type: 'postgres',
            url: process.env.DATABASE_URL,
            schema: process.env.DATABASE_SCHEMA,
            entities,
            extra: { max: 20, connectionTimeoutMillis: 2000, statement_timeout: 1000 },
        }),
        TypeOrmModule.forFeature(entities),
    ],
    controllers: [RecommendationController, HealthController],
    providers: [RecommendationService],
})
export class AppModule {}
