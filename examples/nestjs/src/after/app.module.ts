// SPDX-License-Identifier: MIT
import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Client } from 'sugarperf';
import { SugarperfModule } from 'sugarperf/nestjs';
import * as pg from 'sugarperf/pg';
import { entities } from '../entities';
import { HealthController } from './health.controller';
import { RecommendationController } from './recommendation.controller';
import { RecommendationService } from './recommendation.service';

@Module({
    imports: [
        SugarperfModule.forRoot({ settings: { 'pool.max': 20 } }),
        TerminusModule,
        TypeOrmModule.forRootAsync({
            inject: [Client],
            useFactory: (sugarperf: Client) => ({
                type: 'postgres',
                driver: pg,
                url: process.env.DATABASE_URL,
                schema: process.env.DATABASE_SCHEMA,
                entities,
                extra: { sugarperf },
            }),
        }),
        TypeOrmModule.forFeature(entities),
    ],
    controllers: [RecommendationController, HealthController],
    providers: [RecommendationService],
})
export class AppModule {}
