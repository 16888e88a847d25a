// JUnit XML, in the part of it that CI systems agree on: https://github.com/testmoapp/junitxml describes it.
//
// Regressed is a failure. Inconclusive and contaminated are skipped, with the reason: neither says that the change is
// bad, and a red mark that says nothing is soon ignored. (The exit code 2 is there for those who want to stop at them.)
// A target that a run missed is told, and passes: `ismio bench` exits with 0 then, too. GitLab shows no `message`, so the
// text of the element repeats it.
import type { BenchReport, BenchResult, ComparedTime, CompareReport, Environment, Verdict } from '../results.js';
import { change, exact, quantity, ratio, times } from './figures.js';
import { isBench, type Report } from './report.js';
import { attributes, element, text } from './xml.js';

type Outcome = 'passed' | 'failure' | 'skipped';

interface Case {
  readonly name: string;
  readonly outcome: Outcome;
  /** What kind of failure, in a word. */
  readonly type?: string;
  readonly message: string;
}

interface Suite {
  readonly name: string;
  readonly classname: string;
  readonly cases: readonly Case[];
}

const outcomes: Readonly<Record<Verdict, Outcome>> = {
  pass: 'passed',
  improved: 'passed',
  regressed: 'failure',
  inconclusive: 'skipped',
  contaminated: 'skipped',
};

export function junit(report: Report): string {
  const suites = (isBench(report) ? ofRun(report) : ofComparison(report)).filter(({ cases }) => cases.length > 0);
  const all = suites.flatMap(({ cases }) => cases);
  const name = isBench(report) ? 'ismio bench' : 'ismio compare';
  const root = { name, ...totals(all), time: report.seconds.toFixed(3) };
  const parts = suites.map((suite) => drawSuite(suite, report));
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element('testsuites', root, parts)}\n`;
}

function ofRun({ results, skipped }: BenchReport): Suite[] {
  return [
    { name: 'benchmarks', classname: 'ismio.bench', cases: results.map(ofResult) },
    { name: 'skipped', classname: 'ismio.bench', cases: skipped.map(ofSkipped) },
  ];
}

function ofResult({ name, unit, measured, floor, ratio, target, reached }: BenchResult): Case {
  const against = floor === null || ratio === null ? '' : `, ${times(ratio)} the speed of: ${floor.title}`;
  const message = `${quantity(measured.median, unit)}${against}`;
  if (reached !== false || target === null) return { name, outcome: 'passed', message };
  const wanted = 'atLeast' in target ? `at least ${target.atLeast}` : `at most ${target.atMost}`;
  return { name, outcome: 'passed', message: `target missed, ${wanted}: ${message}` };
}

function ofComparison({ times, counters, instructions, skipped }: CompareReport): Suite[] {
  return [
    {
      name: 'counters',
      classname: 'ismio.counters',
      cases: counters.map((one) => judged(`${one.name} ${one.counter}`, one.verdict, fromTo(one))),
    },
    {
      name: 'instructions',
      classname: 'ismio.instructions',
      cases: instructions.map((one) => judged(one.name, one.verdict, fromTo(one))),
    },
    { name: 'wall time', classname: 'ismio.time', cases: times.map(ofTime) },
    { name: 'skipped', classname: 'ismio.skipped', cases: skipped.map(ofSkipped) },
  ];
}

function ofTime({ name, unit, verdict, reason, base, head, overall }: ComparedTime): Case {
  const medians = `${quantity(base.median, unit)} before, ${quantity(head.median, unit)} now`;
  const interval = `[${ratio(overall.low)}, ${ratio(overall.high)}]`;
  return judged(name, verdict, `${reason}; head/base ${ratio(overall.ratio)} ${interval}; ${medians}`);
}

function judged(name: string, verdict: Verdict, message: string): Case {
  return { name, outcome: outcomes[verdict], type: verdict, message: `${verdict}: ${message}` };
}

function fromTo({ base, head, tolerance }: { base: number; head: number; tolerance: number }): string {
  const changed = base > 0 ? ` (${change(head / base)})` : '';
  return `${exact(base)} before, ${exact(head)} now${changed}; tolerance ${exact(tolerance * 100)} %`;
}

function ofSkipped({ name, reason }: { name: string; reason: string }): Case {
  return { name, outcome: 'skipped', message: reason };
}

function totals(cases: readonly Case[]): Record<string, number> {
  const number = (outcome: Outcome) => cases.filter((one) => one.outcome === outcome).length;
  return { tests: cases.length, failures: number('failure'), errors: 0, skipped: number('skipped') };
}

function drawSuite({ name, classname, cases }: Suite, { started, environment }: Report): string {
  const timestamp = started.replace(/(\.\d+)?Z$/, '');
  const inside = [drawProperties(environment), ...cases.map((one) => drawCase(one, classname))];
  return element('testsuite', { name, ...totals(cases), timestamp }, inside);
}

function drawProperties({ cpu, cores, arch, kernel, node, machine }: Environment): string {
  const properties = Object.entries({ cpu, cores, arch, kernel, node, machine });
  return element(
    'properties',
    {},
    properties.map(([name, value]) => `<property${attributes({ name, value })}/>`),
  );
}

function drawCase({ name, outcome, type, message }: Case, classname: string): string {
  const about = attributes({ name, classname });
  if (outcome === 'passed') return `<testcase${about}><system-out>${text(message)}</system-out></testcase>`;
  const what = attributes({ message, ...(outcome === 'failure' ? { type: type ?? outcome } : {}) });
  return `<testcase${about}><${outcome}${what}>${text(message)}</${outcome}></testcase>`;
}
