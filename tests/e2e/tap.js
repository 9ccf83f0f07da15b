// tap.js - the whole harness: test(name, fn), one after the other, three minutes each
// if no other time is said, which is for those that hang; plan at the end.
import { isDeepStrictEqual } from 'node:util';

// Under a sanitizer or valgrind all takes its time.
const patience = Object.keys(process.env).some((k) => /^([A-Z]+SAN_OPTIONS|MOONGATE_UNDER)$/.test(k)) ? 5 : 1;

let count = 0;
let bad = 0;
const queue = [];

export class Skip extends Error {}
export const skip = (why) => { throw new Skip(why); };

export function test(name, fn, ms = 180000) { queue.push({ name, fn, ms: ms * patience }); }

export function ok(value, what = 'is true') { if (!value) throw new Error(`expected: ${what}`); }
export function eq(got, want, what = 'value') {
  if (!isDeepStrictEqual(got, want)) throw new Error(`${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

// Runs all; cleanup always, also after a failure.
export async function run(cleanup = async () => {}) {
  for (const { name, fn, ms } of queue) {
    count++;
    try {
      await Promise.race([fn(), new Promise((_, no) => setTimeout(() => no(new Error(`took more than ${ms / 1000} s`)), ms).unref())]);
      console.log(`ok ${count} - ${name}`);
    } catch (e) {
      if (e instanceof Skip) { console.log(`ok ${count} - ${name} # SKIP ${e.message}`); continue; }
      bad++;
      console.log(`not ok ${count} - ${name}`);
      console.error(`# not ok ${count} - ${name}`);	// prove keeps what is on stdout to itself
      console.error(String(e.stack || e).split('\n').slice(0, 12).map((l) => '# ' + l).join('\n'));
    }
  }
  try { await cleanup(); } catch (e) { bad++; console.error(`# cleanup: ${e}`); }
  console.log(`1..${count}`);
  process.exit(bad ? 1 : 0);
}
