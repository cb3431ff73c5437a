// SPDX-License-Identifier: MIT
'use strict';
/* What npm pack makes installs into an empty project and works there, without a build tree and without libsugarperf. */
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');
const test = require('node:test');
const assert = require('node:assert/strict');
const { url } = require('./support.js');

const run = promisify(execFile);
const PACKAGE = path.join(__dirname, '..');
const LEFT_OUT = new Set(['node_modules', 'test', 'build']);
const { version } = require('../package.json');

/* Nothing that this process has and an empty machine has not; no registry is asked. */
function bare(more) {
    const { SUGARPERF_BUILD: _, NODE_PATH: __, LD_LIBRARY_PATH: ___, ...env } = process.env;

    return { ...env, npm_config_offline: 'true', npm_config_audit: 'false', npm_config_fund: 'false', npm_config_update_notifier: 'false', ...more };
}

/* The package as a checkout of its own, so that nothing is written into this one. */
function checkout(t) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sugarperf-pack-'));
    const own = path.join(folder, 'bindings', 'node');

    t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    for (const name of fs.readdirSync(PACKAGE).filter((found) => !LEFT_OUT.has(found)))
        fs.cpSync(path.join(PACKAGE, name), path.join(own, name), { recursive: true });
    for (const name of ['LICENSE', path.join('docs', 'node.md')])
        fs.cpSync(path.join(PACKAGE, '..', '..', name), path.join(folder, name));
    return { folder, own };
}

async function pack({ folder, own }, build = process.env.SUGARPERF_BUILD) {
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: own, env: bare({ SUGARPERF_BUILD: build }) });
    /* What prepack says may stand before. */
    const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')));

    return { archive: path.join(folder, filename), files: files.map((file) => file.path).sort() };
}

/* All files of lib/, by their paths in the package. */
function scripts(folder = path.join(PACKAGE, 'lib')) {
    return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => entry.isDirectory()
        ? scripts(path.join(folder, entry.name)) : [path.relative(PACKAGE, path.join(folder, entry.name))]);
}

const SCRIPT = `
    const { Client, version } = require('sugarperf');
    const { Pool } = require('sugarperf/pg');
    (async () => {
        const client = new Client({ 'pool.url': process.env.DATABASE_URL });
        const pool = new Pool({ connectionString: process.env.DATABASE_URL });
        console.log(version, (await client.query('SELECT 6 * 7 AS n'))[0].n, (await pool.query('SELECT 7 AS n')).rows[0].n,
            (await import('sugarperf')).Client === Client, (await import('sugarperf/pg')).Pool === Pool);
        await client.close();
        await pool.end();
    })();`;

test('an empty project', async (t) => {
    const made = checkout(t);
    const { archive, files } = await pack(made);
    const project = path.join(made.folder, 'project');
    const installed = path.join(project, 'node_modules', 'sugarperf');

    await t.test('holds the library, what is JavaScript, types, the guide and the licence; nothing stays behind', () => {
        assert.deepEqual(files, ['LICENSE', 'README.md', 'build/sugarperf.node', 'index.d.ts', 'nestjs.d.ts', 'package.json', 'pg.d.ts', 'reports.d.ts', 'testing.d.ts', ...scripts()].sort());
        assert.deepEqual(['build', 'LICENSE', 'README.md'].filter((name) => fs.existsSync(path.join(made.own, name))), []);
    });

    await t.test('installs without a registry or a compiler, and works', async () => {
        fs.mkdirSync(project);
        fs.writeFileSync(path.join(project, 'package.json'), '{ "private": true }');
        fs.writeFileSync(path.join(project, 'main.js'), SCRIPT);
        await run('npm', ['install', '--loglevel=error', archive], { cwd: project, env: bare() });
        assert.deepEqual(fs.readdirSync(path.join(project, 'node_modules')).filter((name) => !name.startsWith('.')), ['sugarperf']);
        const { stdout, stderr } = await run(process.execPath, ['main.js'], { cwd: project, env: bare({ DATABASE_URL: url('DATABASE_URL') }) });
        assert.deepEqual([stdout, stderr], [`${version} 42 7 true true\n`, '']);
    });

    await t.test('needs the libraries of the machine, and none of ours', async () => {
        const { stdout } = await run('ldd', [path.join(installed, 'build', 'sugarperf.node')]);
        assert.match(stdout, /libpq\.so/);
        assert.match(stdout, /libhiredis\.so/);
        assert.doesNotMatch(stdout, /libsugarperf|not found/);
    });

    await t.test('its types are found', async () => {
        const own = path.join(PACKAGE, 'node_modules');
        fs.writeFileSync(path.join(project, 'main.ts'), "import { Client } from 'sugarperf';\nimport { Pool } from 'sugarperf/pg';\n" +
            "const client: Client = new Client({ 'pool.max': 3 });\nexport const pool = new Pool({ sugarperf: client });\n");
        await run(process.execPath, [path.join(own, 'typescript', 'bin', 'tsc'), '--noEmit', '--strict', '--module', 'node16', '--target', 'es2022',
            '--types', 'node', '--typeRoots', path.join(own, '@types'), 'main.ts'], { cwd: project });
    });

    await t.test('an addon of another version is refused at load', async () => {
        const file = path.join(installed, 'package.json');
        fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(`"version": "${version}"`, '"version": "9.9.9"'));
        await assert.rejects(run(process.execPath, ['main.js'], { cwd: project, env: bare() }),
            new RegExp(`sugarperf: package 9\\.9\\.9 does not fit its addon ${version}; install the same version of both`));
    });
});

test('what is not built cannot be packed', async (t) => {
    const made = checkout(t);

    await assert.rejects(pack(made, path.join(made.folder, 'nothing')), /sugarperf-packed\.node is not there: \.\/run setup builds it/);
    assert.equal(fs.readdirSync(made.folder).some((name) => name.endsWith('.tgz')), false);
});
