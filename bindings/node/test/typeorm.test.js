// SPDX-License-Identifier: MIT
'use strict';
/* TypeORM on sugarperf/pg: { driver: require('sugarperf/pg') } is all that changes. */
require('reflect-metadata');
const assert = require('node:assert/strict');
const { DataSource, EntitySchema } = require('typeorm');
const { both, failure, name, peer } = require('./pg_support.js');
const { url } = require('./support.js');

const Content = new EntitySchema({
    name: 'Content',
    tableName: 'contents',
    columns: {
        id: { type: 'uuid', primary: true, generated: 'uuid' },
        title: { type: 'varchar', length: 200 },
        views: { type: 'int', default: 0 },
        score: { type: 'double precision', default: 0 },
        total: { type: 'bigint', default: 0 },
        meta: { type: 'jsonb', nullable: true },
        labels: { type: 'text', array: true, default: '{}' },
        picture: { type: 'bytea', nullable: true },
        kind: { type: 'enum', enum: ['video', 'text'], default: 'text' },
        published: { type: 'date', nullable: true },
        createdAt: { type: 'timestamptz', createDate: true },
        updatedAt: { type: 'timestamp', updateDate: true },
        version: { type: 'int', version: true },
    },
    relations: {
        tags: { type: 'many-to-many', target: 'Tag', joinTable: { name: 'content_tags' }, inverseSide: 'contents', cascade: true },
        author: { type: 'many-to-one', target: 'Author', nullable: true, inverseSide: 'contents', onDelete: 'CASCADE' },
    },
    indices: [{ columns: ['score'] }],
});
const Tag = new EntitySchema({
    name: 'Tag',
    tableName: 'tags',
    columns: { id: { type: 'int', primary: true, generated: 'increment' }, name: { type: 'varchar', unique: true } },
    relations: { contents: { type: 'many-to-many', target: 'Content', inverseSide: 'tags', lazy: true } },
});
const Author = new EntitySchema({
    name: 'Author',
    tableName: 'authors',
    columns: { id: { type: 'int', primary: true, generated: 'increment' }, name: { type: 'varchar' } },
    relations: { contents: { type: 'one-to-many', target: 'Content', inverseSide: 'author', lazy: true } },
});

class AddLength1700000000000 {
    name = 'AddLength1700000000000';

    async up(runner) {
        await runner.query('ALTER TABLE "contents" ADD COLUMN "length" integer NOT NULL DEFAULT 0');
        await runner.query('CREATE INDEX "contents_length" ON "contents" ("length")');
    }

    async down(runner) {
        await runner.query('ALTER TABLE "contents" DROP COLUMN "length"');
    }
}

/* A schema of its own, with the tables that TypeORM makes in it. */
async function source(t, driver, more = {}) {
    const schema = name();
    const admin = new peer.Client({ connectionString: url('DATABASE_URL') });

    await admin.connect();
    await admin.query('CREATE EXTENSION IF NOT EXISTS "uuid-ossp"');
    await admin.query(`CREATE SCHEMA ${schema}`);
    const made = new DataSource({
        type: 'postgres', driver, url: url('DATABASE_URL'), schema, entities: [Content, Tag, Author], synchronize: true, logging: false,
        extra: { max: 4, options: `-c search_path=${schema},public` }, ...more,
    });
    t.after(async () => {
        if (made.isInitialized)
            await made.destroy();
        await admin.query(`DROP SCHEMA ${schema} CASCADE`);
        await admin.end();
    });
    return made.initialize();
}

both('TypeORM: what is saved is found again', async (t, driver) => {
    const contents = (await source(t, driver)).getRepository(Content);
    const saved = await contents.save({ title: 'é "one"', meta: { a: [1] }, labels: ['x', 'y"z'], picture: Buffer.from([0, 1]), kind: 'video',
        published: '2024-02-29', total: '9007199254740993' });

    assert.match(saved.id, /^[0-9a-f-]{36}$/);
    assert.ok(saved.createdAt instanceof Date && saved.updatedAt instanceof Date);
    const found = await contents.findOneByOrFail({ id: saved.id });
    assert.deepEqual([found.title, found.meta, found.labels, found.picture, found.kind, found.published, found.total, found.version],
        ['é "one"', { a: [1] }, ['x', 'y"z'], Buffer.from([0, 1]), 'video', '2024-02-29', '9007199254740993', 1]);
    found.views = 5;
    await contents.save(found);
    assert.equal((await contents.findOneByOrFail({ id: saved.id })).version, 2);
    assert.equal((await contents.increment({ id: saved.id }, 'views', 2)).affected, 1);
    assert.equal((await contents.update({ title: 'nobody' }, { views: 1 })).affected, 0);
    assert.equal(await contents.countBy({ views: 7 }), 1);
    assert.deepEqual((await contents.find({ where: { views: 7 }, select: { title: true }, order: { score: 'DESC' }, take: 1 }))
        .map((one) => one.title), ['é "one"']);
    await contents.upsert({ id: saved.id, title: 'two' }, ['id']);
    assert.equal((await contents.delete(saved.id)).affected, 1);
    assert.equal(await contents.count(), 0);
});

both('TypeORM: relations are joined, loaded when asked for, and cascade', async (t, driver) => {
    const on = await source(t, driver);
    const [author] = await on.getRepository(Author).save([{ name: 'Ann' }, { name: 'Ben' }]);
    const tags = await on.getRepository(Tag).save([{ name: 'red' }, { name: 'blue' }]);
    const contents = on.getRepository(Content);

    await contents.save([{ title: 'a', tags, author }, { title: 'b', tags: [tags[0], { name: 'new' }], author }, { title: 'c' }]);
    const joined = await contents.createQueryBuilder('content').leftJoinAndSelect('content.tags', 'tag')
        .orderBy('content.title').addOrderBy('tag.name').getMany();
    assert.deepEqual(joined.map((one) => [one.title, one.tags.map((tag) => tag.name)]), [['a', ['blue', 'red']], ['b', ['new', 'red']], ['c', []]]);
    const found = await contents.find({ relations: { tags: true, author: true }, where: { tags: { name: 'blue' } } });
    assert.deepEqual(found.map((one) => [one.title, one.author.name]), [['a', 'Ann']]);
    const red = await on.getRepository(Tag).findOneByOrFail({ name: 'red' });
    assert.deepEqual((await red.contents).map((one) => one.title).sort(), ['a', 'b']);
    const [page, all] = await contents.findAndCount({ skip: 1, take: 1, order: { title: 'ASC' } });
    assert.deepEqual([page.map((one) => one.title), all], [['b'], 3]);
    await on.getRepository(Author).delete(author.id);
    assert.equal(await contents.count(), 1);
});

both('TypeORM: a transaction is all or nothing', async (t, driver) => {
    const on = await source(t, driver);
    const tags = on.getRepository(Tag);

    await on.transaction('SERIALIZABLE', async (manager) => {
        await manager.save(Tag, { name: 'kept' });
        assert.equal((await manager.query('SHOW transaction_isolation'))[0].transaction_isolation, 'serializable');
    });
    const gone = new Error('given up');
    assert.equal(await failure(on.transaction(async (manager) => {
        await manager.save(Tag, { name: 'lost' });
        throw gone;
    })), gone);
    await on.transaction(async (manager) => {
        await manager.save(Tag, { name: 'outer' });
        await failure(manager.transaction(async (inner) => {
            await inner.save(Tag, { name: 'inner' });
            throw gone;
        }));
    });
    assert.deepEqual((await tags.find({ order: { name: 'ASC' } })).map((tag) => tag.name), ['kept', 'outer']);
    const error = await failure(tags.insert({ name: 'kept' }));
    assert.equal(error.name, 'QueryFailedError');
    assert.deepEqual([error.code, error.driverError.code, error.table, error.detail],
        ['23505', '23505', 'tags', 'Key (name)=(kept) already exists.']);
    const runner = on.createQueryRunner();
    await runner.startTransaction();
    await runner.manager.save(Tag, { name: 'by hand' });
    await runner.rollbackTransaction();
    await runner.release();
    assert.equal(await tags.countBy({ name: 'by hand' }), 0);
});

both('TypeORM: migrations run, are recorded, and are reverted', async (t, driver) => {
    const on = await source(t, driver, { migrations: [AddLength1700000000000] });
    const columns = async () => (await on.query(`SELECT column_name AS name FROM information_schema.columns
        WHERE table_schema = $1 AND table_name = 'contents'`, [on.options.schema])).map((row) => row.name);

    assert.equal(await on.showMigrations(), true);
    assert.deepEqual((await on.runMigrations({ transaction: 'all' })).map((one) => one.name), ['AddLength1700000000000']);
    assert.ok((await columns()).includes('length'));
    assert.equal((await on.runMigrations()).length, 0);
    await on.undoLastMigration();
    assert.ok(!(await columns()).includes('length'));
    assert.equal(await on.showMigrations(), true);
});

both('TypeORM: rows are streamed', async (t, driver) => {
    const on = await source(t, driver);
    let seen = 0;

    await on.getRepository(Tag).insert(Array.from({ length: 250 }, (_, i) => ({ name: `tag ${i}` })));
    for await (const row of await on.getRepository(Tag).createQueryBuilder('tag').stream())
        seen += row.tag_name.startsWith('tag ') ? 1 : 0;
    assert.equal(seen, 250);
});

both('TypeORM: many callers share few connections', async (t, driver) => {
    const tags = (await source(t, driver)).getRepository(Tag);

    await tags.insert(Array.from({ length: 64 }, (_, i) => ({ name: `tag ${i}` })));
    const found = await Promise.all(Array.from({ length: 64 }, (_, i) => tags.findOneByOrFail({ name: `tag ${i}` })));
    found.forEach((tag, i) => assert.equal(tag.name, `tag ${i}`));
});
