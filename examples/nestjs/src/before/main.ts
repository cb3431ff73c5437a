// SPDX-License-Identifier: MIT
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module';

export async function create() {
    const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });

    app.enableShutdownHooks();
    return app;
}

async function main() {
    const app = await create();

    await app.listen(Number(process.env.PORT ?? 3001), '127.0.0.1');
    console.log(await app.getUrl());
}

if (require.main === module)
    main();
