// SPDX-License-Identifier: MIT
import { Controller, Get } from '@nestjs/common';
import { DataSource } from 'typeorm';

@Controller('health')
export class HealthController {
    constructor(private readonly source: DataSource) {}

    @Get('database')
    async database() {
        await this.source.query('SELECT 1');
        return { status: 'ok' };
    }
}
