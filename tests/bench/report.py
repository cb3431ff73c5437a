# SPDX-License-Identifier: MIT
"""The table that people read and the JSON file that tools read."""
import json


def figure(value):
    """At least three significant digits, no exponent."""
    if value is None:
        return '-'
    if abs(value) >= 100:
        return f'{value:,.0f}'
    if abs(value) >= 10 or value == 0:
        return f'{value:.1f}'
    return f'{value:.2f}' if abs(value) >= 1 else f'{value:.3f}'


def sides_line(row, name):
    """One side: its value with interval, latency and CPU per operation."""
    value = row['values'][name]
    text = f"    {name:<6}{row[name]:<34}{figure(value['median']):>10} {row['unit']:<6}"
    if name not in row['cpu_us']:
        return text.rstrip()
    cpu, latency = row['cpu_us'][name], row['latency_us'][name]
    return (f"{text} [{figure(value['low'])} .. {figure(value['high'])}]  p50 {figure(latency['p50'])} us,"
            f" p99 {figure(latency['p99'])} us,  CPU/op: client {figure(cpu['client'])} us,"
            f" server {figure(cpu['server'])} us")


def lines(row):
    """The block of one case."""
    yield f"{row['area']}: {row['case']}"
    if row['ratio'] is None:
        yield f"    not measured: {row['why']}"
        return
    yield sides_line(row, 'ours')
    yield sides_line(row, 'peer')
    if 'floor' in row:
        floor = row['floor']
        yield f"    floor {floor['name']:<34}{figure(floor['median']):>10} {row['unit']}"
    ratio = row['ratio']
    yield (f"    ratio {ratio['median']:.3f} [{ratio['low']:.3f} .. {ratio['high']:.3f}], goal {row['goal']:g}:"
           f" {row['verdict']};  A/A {row['aa']['median']:.3f}, spread {100 * row['aa']['spread']:.1f} %,"
           f" {row['rounds']} rounds")


def table(rows):
    """The closing overview, a line a case."""
    width = max(len(f"{row['area']}: {row['case']}") for row in rows)
    peers = max(len(row['peer']) for row in rows)
    yield f"{'case':<{width}}  {'against':<{peers}}  {'ratio':>6}  {'95 % interval':^15}  {'A/A':>6}  {'goal':>5}  verdict"
    for row in rows:
        head = f"{row['area'] + ': ' + row['case']:<{width}}  {row['peer']:<{peers}}"
        if row['ratio'] is None:
            yield f"{head}  {'-':>6}  {'-':^15}  {'-':>6}  {row['goal']:>5g}  not measured"
            continue
        ratio = row['ratio']
        interval = f"{ratio['low']:.3f} .. {ratio['high']:.3f}"
        yield (f"{head}  {ratio['median']:>6.3f}  {interval:^15}  {100 * row['aa']['spread']:>4.1f} %"
               f"  {row['goal']:>5g}  {row['verdict']}")


def write_json(path, rows):
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(rows, file, indent=2)
        file.write('\n')
