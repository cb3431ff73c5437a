// SPDX-License-Identifier: MIT
import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService } from '@nestjs/terminus';
import { SugarperfHealth } from 'sugarperf/nestjs';

@Controller('health')
export class HealthController {
    constructor(
        private readonly health: HealthCheckService,
        private readonly sugarperf: SugarperfHealth,
    ) {}

    @Get('database')
    @HealthCheck()
    database() {
        return this.health.check([() => this.sugarperf.isHealthy('database')]);
    }
}
