// aws.test.js - AWS's credentials as a company has them, against STS, a container's and an instance's service on loopback.
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq, ok, run, test } from './tap.js';
import { binary, managementKey, sendJson, startGateway, startUpstream, until } from './gateway.js';
import { wrongSignature } from './sigv4.js';

const region = 'eu-west-1', role = 'arn:aws:iam::123456789012:role/gate way';
const home = mkdtempSync(join(tmpdir(), 'moongate-aws-'));
const file = (name, text) => { const path = join(home, name); writeFileSync(path, text, { mode: 0o600 }); return path; };

// Whoever is known here may sign; each exchange makes another one.
const known = new Map();
let made = 0;
function make(who) {
  const id = `ASIA${who}${++made}`, one = { id, secret: `CANARY/secret+${made}`, token: `CANARY:session/${made}+==`, region };
  known.set(id, one);
  return one;
}
const hour = (ms = 3600000) => new Date(Date.now() + ms).toISOString().replace(/\.\d+Z/, 'Z');
const idOf = (req) => /Credential=([^/]+)\//.exec(req.headers.authorization || '')?.[1];
const wrong = (req, service) => known.has(idOf(req)) ? wrongSignature(req, { ...known.get(idOf(req)), service }) : `nobody knows ${idOf(req)}`;

let life = 3600000;
const xml = (action, one) => `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">\n <${action}Result>\n  <AssumedRoleUser><Arn>x</Arn></AssumedRoleUser>\n  <Credentials>\n` +
  `   <AccessKeyId>${one.id}</AccessKeyId>\n   <SecretAccessKey>${one.secret}</SecretAccessKey>\n   <SessionToken>${one.token}</SessionToken>\n   <Expiration>${hour(life)}</Expiration>\n  </Credentials>\n </${action}Result></${action}Response>`;
const denied = (code) => `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>CANARY-message</Message></Error></ErrorResponse>`;
const form = (req) => Object.fromEntries(new URLSearchParams(req.text));
let refuse = null;
const sts = await startUpstream((req, res) => {
  const f = form(req), bad = f.Action === 'AssumeRole' ? wrong(req, 'sts') : null;
  req.wrong = bad;
  res.writeHead(refuse || bad ? 403 : 200, { 'content-type': 'text/xml' });
  res.end(refuse || bad ? denied(refuse || 'SignatureDoesNotMatch') : xml(f.Action, make(f.Action === 'AssumeRole' ? 'ROLE' : 'WEB')));
});
const json = (one) => ({ Code: 'Success', Type: 'AWS-HMAC', AccessKeyId: one.id, SecretAccessKey: one.secret, Token: one.token, Expiration: hour(life) });
const machine = await startUpstream((req, res) => {
  if (req.url === '/pod' || req.url === '/task?id=1') return req.headers.authorization === 'pod-token' ? sendJson(res, 200, { ...json(make('POD')), Code: undefined }) : sendJson(res, 401, { code: 'NoToken', message: 'CANARY' });
  if (req.method === 'PUT' && req.url === '/latest/api/token') return req.headers['x-aws-ec2-metadata-token-ttl-seconds'] === '21600' ? res.end('session-1') : (res.writeHead(400), res.end());
  if (req.headers['x-aws-ec2-metadata-token'] !== 'session-1') return (res.writeHead(401), res.end());
  if (req.url === '/latest/meta-data/iam/security-credentials/') return res.end('my-role\n');
  if (req.url === '/latest/meta-data/iam/security-credentials/my-role') return sendJson(res, 200, json(make('EC2')));
  res.writeHead(404); res.end();
});
let taken = () => false;
const up = await startUpstream((req, res) => {
  const bad = wrong(req, 'bedrock');
  req.wrong = bad;
  if (bad || taken(req)) return sendJson(res, 403, { message: bad || 'The security token included in the request is expired' }, { 'x-amzn-errortype': bad ? 'InvalidSignatureException' : 'ExpiredTokenException' });
  sendJson(res, 200, { output: { message: { role: 'assistant', content: [{ text: 'hi' }] } }, stopReason: 'end_turn', usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 } });
});
known.set('AKIASTATIC', { id: 'AKIASTATIC', secret: 'CANARY-static', region });
known.set('AKIAPROFILE', { id: 'AKIAPROFILE', secret: 'CANARY-profile', token: 'CANARY-token', region });
known.set('AKIAENV', { id: 'AKIAENV', secret: 'CANARY-env', region });

const web = file('web-token', 'eyJweb.token.x\n'), pod = file('pod-token', 'pod-token\n');
const credentials = file('credentials', '# by hand\n[default]\naws_access_key_id = AKIAENV\naws_secret_access_key=CANARY-env # of the team\n\n[ prod ]\n' +
  'aws_access_key_id=AKIAPROFILE\naws_secret_access_key = CANARY-profile\naws_session_token = CANARY-token\n[only-a-key]\naws_access_key_id = x\n');
const config = file('config', `[default]\nregion = ${region}\n[profile deploy]\nrole_arn = ${role}\nsource_profile = middle\nexternal_id = ext/1\nrole_session_name = ci\nduration_seconds = 900\n` +
  `s3 =\n  role_arn = none\n[profile middle]\nrole_arn = arn:middle\nsource_profile = prod\n[profile ec2]\nrole_arn = arn:ec2\ncredential_source = Ec2InstanceMetadata\n` +
  `[profile pod]\nrole_arn = arn:pod\nweb_identity_token_file = ${web}\n[profile sso]\nsso_session = corp\n[profile process]\ncredential_process = /bin/false\n[profile mfa]\nrole_arn = a\nsource_profile = prod\nmfa_serial = m\n` +
  `[profile round]\nrole_arn = a\nsource_profile = round\n[sso-session corp]\nsso_start_url = https://x\n`);
const files = { AWS_SHARED_CREDENTIALS_FILE: credentials, AWS_CONFIG_FILE: config };
const urls = { AWS_ENDPOINT_URL_STS: sts.url + '/', AWS_EC2_METADATA_SERVICE_ENDPOINT: machine.url + '/' };
const rows = { static: 'access_key_id = env "KEY_ID", secret_access_key = env "KEY"', nothing: '', profile: 'profile = "prod"', deploy: 'profile = "deploy"', ec2: 'profile = "ec2"', podp: 'profile = "pod"',
  web: `web_identity_token_file = "${web}", role_arn = "${role}", session_name = "s-1", duration = "15m"`, instance: 'source = "instance"',
  cross: `source = "profile", profile = "prod", role_arn = "arn:cross", external_id = "e&1"`, short: 'source = "instance", session_name = "short"', taken: 'source = "instance", session_name = "taken"', many: 'profile = "middle"', fails: 'profile = "middle", session_name = "fails"' };
const configOf = (names) => `
  workers = 2,
  providers = { ${names.map((n) => `["${n}"] = { dialect = "bedrock", base_url = "${up.url}", aws = { ${rows[n]} }, options = { region = "${region}" } },`).join('\n')} },
  models = { ${names.map((n) => `["a/${n}"] = { endpoints = { { provider = "${n}", model = "anthropic.x", price = { input = 1, output = 1 } } } },`).join('\n')} },`;
const env = { ...files, ...urls, KEY_ID: 'AKIASTATIC', KEY: 'CANARY-static' };
const g = await startGateway(configOf(Object.keys(rows)), { env });
const key = await g.newKey();
const askAt = (gw, k, model) => fetch(gw.api + '/chat/completions', { method: 'POST', headers: { authorization: `Bearer ${k}`, 'content-type': 'application/json' },
  body: JSON.stringify({ model, messages: [{ role: 'user', content: 'x' }] }) });
const ask = (name) => askAt(g, key, 'a/' + name);
const fresh = () => { for (const u of [sts, machine, up]) u.asked.length = 0; taken = () => false; refuse = null; life = 3600000; };
const good = async (name, who) => {
  const r = await ask(name), text = await r.text();
  eq([r.status, up.asked.at(-1)?.wrong], [200, null], text);
  ok(idOf(up.asked.at(-1)).startsWith(who), `${who} signed: ${idOf(up.asked.at(-1))}`);
};

test('keys of the row', async () => { fresh(); await good('static', 'AKIASTATIC'); eq(sts.asked.length + machine.asked.length, 0); });
test('nothing said: the default profile', async () => { fresh(); await good('nothing', 'AKIAENV'); });
test('a profile with a session token', async () => { fresh(); await good('profile', 'AKIAPROFILE'); eq(up.asked[0].headers['x-amz-security-token'], 'CANARY-token'); });
test('a profile that assumes a role by way of another one that does: each signed by the one before', async () => {
  fresh();
  await good('deploy', 'ASIAROLE');
  eq(sts.asked.map((a) => [a.method, a.url, a.wrong, form(a)]), [
    ['POST', '/', null, { Action: 'AssumeRole', Version: '2011-06-15', RoleArn: 'arn:middle', RoleSessionName: 'moongate', DurationSeconds: '3600' }],
    ['POST', '/', null, { Action: 'AssumeRole', Version: '2011-06-15', RoleArn: role, RoleSessionName: 'ci', DurationSeconds: '900', ExternalId: 'ext/1' }]]);
  eq([idOf(sts.asked[0]), idOf(sts.asked[1]).slice(0, 8)], ['AKIAPROFILE', 'ASIAROLE']);
});
test('a web identity: the row\'s, and a profile\'s; the token is read from its file, and nothing signed', async () => {
  fresh();
  await good('web', 'ASIAWEB');
  eq(form(sts.asked[0]), { Action: 'AssumeRoleWithWebIdentity', Version: '2011-06-15', RoleArn: role, RoleSessionName: 's-1', DurationSeconds: '900', WebIdentityToken: 'eyJweb.token.x' });
  eq(sts.asked[0].headers.authorization, undefined);
  await good('podp', 'ASIAWEB');
});
test('an instance\'s role, IMDSv2; and a role that is assumed with it', async () => {
  fresh();
  await good('instance', 'ASIAEC2');
  eq(machine.asked.map((a) => `${a.method} ${a.url}`), ['PUT /latest/api/token', 'GET /latest/meta-data/iam/security-credentials/', 'GET /latest/meta-data/iam/security-credentials/my-role']);
  await good('ec2', 'ASIAROLE');
  eq([sts.asked.length, sts.asked[0].wrong], [1, null]);
});
test('the row\'s own role, of another account', async () => {
  fresh();
  await good('cross', 'ASIAROLE');
  eq([idOf(sts.asked[0]), form(sts.asked[0]).ExternalId], ['AKIAPROFILE', 'e&1']);
});
test('they are used again, and fifty at once cause one exchange', async () => {
  fresh();
  await good('deploy', 'ASIAROLE');
  eq(sts.asked.length, 0);
  for (const r of await Promise.all(Array.from({ length: 50 }, () => ask('many')))) { eq(r.status, 200); await r.text(); }
  eq([sts.asked.length, up.asked.length], [1, 51], 'exchanges, requests');
});
test('renewed before their end, while the old ones are used', async () => {
  fresh();
  life = 9000;
  await good('short', 'ASIAEC2');
  const first = idOf(up.asked[0]);
  await until('other keys', async () => { await good('short', 'ASIAEC2'); return idOf(up.asked.at(-1)) !== first; });
  eq(machine.asked.filter((a) => a.method === 'PUT').length, 2, 'exchanges');
});
test('keys that are over before their time are dropped, and others got, once', async () => {
  fresh();
  await good('taken', 'ASIAEC2');
  const old = idOf(up.asked[0]);
  taken = (req) => idOf(req) === old;
  await good('taken', 'ASIAEC2');
  eq(up.asked.length, 3, 'requests');
  ok(idOf(up.asked[2]) !== old, 'other keys');
  taken = () => true;
  eq((await ask('taken')).status >= 500, true);
  eq(up.asked.length, 5, 'requests');
});
test('STS says no: whose fault it is, in its word, and no secret', async () => {
  fresh();
  refuse = 'AccessDenied';
  const r = await ask('fails'), text = await r.text();
  eq(r.status, 502);
  ok(text.includes('no AWS credentials: STS answered 403, AccessDenied'), text);
  ok(!text.includes('CANARY'), text);
});

const cli = (args, more = {}) => new Promise((done) => execFile(binary, [...args, '--config', g.file],
  { env: { PATH: process.env.PATH, HOME: g.home, ...env, MOONGATE_MANAGEMENT_KEY: managementKey, MOONGATE_KEY: key, MOONGATE_URL: g.url, NO_COLOR: '1', ...more } }, (e, out, err) => done({ code: e ? e.code : 0, out, err })));
test('provider test shows the exchange, and its failure', async () => {
  fresh();
  const r = await cli(['provider', 'test', 'deploy']);
  ok(r.code === 0 && /credential +ok +[\d.]+ ms, keys \+ role \+ role, good for 3\d{3} s\n(.*\n)*answer +ok/.test(r.out), r.out + r.err);
  refuse = 'AccessDenied';
  const no = await cli(['provider', 'test', 'deploy']);
  ok(no.code === 5 && no.out.includes('credential   FAIL  keys + role + role: no AWS credentials: STS answered 403, AccessDenied') && !no.out.includes('CANARY'), no.out + no.err);
});
test('status tells how long they are good, and what fails', async () => {
  const r = await cli(['status']);
  ok(/deploy 5\d min/.test(r.out) && r.out.includes('fails failing, 0 min left') && !r.out.includes('nothing 0'), r.out);
});

// The environment's sources: a gateway each, for it is the process's own.
for (const [name, more, who] of [
  ['keys of the environment come before a profile', { AWS_ACCESS_KEY_ID: 'AKIASTATIC', AWS_SECRET_ACCESS_KEY: 'CANARY-static', AWS_PROFILE: 'prod' }, 'AKIASTATIC'],
  ['a web identity of the environment comes before a profile', { AWS_WEB_IDENTITY_TOKEN_FILE: web, AWS_ROLE_ARN: role, AWS_ROLE_SESSION_NAME: 'pod-7' }, 'ASIAWEB'],
  ['AWS_PROFILE', { AWS_PROFILE: 'prod', AWS_CONTAINER_CREDENTIALS_FULL_URI: machine.url + '/pod' }, 'AKIAPROFILE'],
  ['a container with the token\'s file, before the instance', { AWS_SHARED_CREDENTIALS_FILE: '/nowhere', AWS_CONTAINER_CREDENTIALS_FULL_URI: machine.url + '/pod', AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: pod }, 'ASIAPOD'],
  ['a container with a token', { AWS_SHARED_CREDENTIALS_FILE: '/nowhere', AWS_CONTAINER_CREDENTIALS_FULL_URI: machine.url + '/task?id=1', AWS_CONTAINER_AUTHORIZATION_TOKEN: 'pod-token' }, 'ASIAPOD'],
  ['the instance is the last', { AWS_SHARED_CREDENTIALS_FILE: '/nowhere' }, 'ASIAEC2'],
]) {
  test(name, async () => {
    fresh();
    const other = await startGateway(configOf(['nothing']), { env: { ...env, ...more } });
    const r = await askAt(other, await other.newKey(), 'a/nothing'), text = await r.text();
    eq([r.status, up.asked.at(-1)?.wrong], [200, null], text);
    ok(idOf(up.asked.at(-1)).startsWith(who), idOf(up.asked.at(-1)));
    ok(!other.log.includes('CANARY'), 'no secret in the log');
    await other.stop();
  });
}

// What cannot be is said at the start, without a word of a secret.
const check = (aws, more = {}) => spawnSync(binary, ['config', 'check', '--config', file('check.lua', `return { providers = { x = { dialect = "bedrock", base_url = "${up.url}", aws = { ${aws} }, options = { region = "${region}" } } } }`)],
  { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: home, ...files, ...urls, ...more } }).stderr;
for (const [name, aws, more, why] of [
  ['no such profile', 'profile = "nobody"', {}, /providers\.x\.aws: profile 'nobody' is neither in .*credentials nor in .*config/],
  ['half a pair', 'access_key_id = env "A"', { A: 'x' }, /access_key_id and secret_access_key go together/],
  ['a profile of a person', 'profile = "sso"', {}, /signs a person in \(SSO\)/],
  ['a program', 'profile = "process"', {}, /the gateway runs no programs/],
  ['a code that a person types', 'profile = "mfa"', {}, /mfa_serial/],
  ['a profile that needs itself', 'profile = "round"', {}, /more than 8 profiles/],
  ['a profile with half of the keys', 'profile = "only-a-key"', {}, /neither keys nor a role/],
  ['a source that has nothing', 'source = "container"', {}, /are not set/],
  ['an unknown source', 'source = "ec2"', {}, /'ec2' is unknown here/],
  ['a web identity without a role', `web_identity_token_file = "${web}"`, {}, /role_arn/],
  ['a container far away', 'source = "container"', { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://10.0.0.1/x' }, /FULL_URI is neither https/],
  ['a name that begins like an address', 'source = "container"', { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1.evil.example/x' }, /FULL_URI is neither https/],
  ['a user in the address', 'source = "container"', { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1@evil.example/x' }, /FULL_URI is neither https/],
  ['metadata far away', 'source = "instance", metadata_url = "http://192.168.1.1"', {}, /instance's metadata is neither https/],
  ['STS far away', 'profile = "deploy", sts_url = "http://sts.example"', {}, /STS is neither https/],
  ['switched off, and nothing else', '', { AWS_SHARED_CREDENTIALS_FILE: '/nowhere', AWS_EC2_METADATA_DISABLED: 'true' }, /no AWS credentials: none in the environment/],
]) {
  test(name, () => {
    const said = check(aws, more);
    ok(why.test(said) && !said.includes('CANARY'), said);
  });
}

test('without a configuration a pod\'s identity is enough', async () => {
  const r = spawnSync(binary, ['provider', 'list', '--json'], { encoding: 'utf8', cwd: home,
    env: { PATH: process.env.PATH, HOME: home, AWS_REGION: region, AWS_WEB_IDENTITY_TOKEN_FILE: web, AWS_ROLE_ARN: role } });
  eq(JSON.parse(r.stdout).data.find((p) => p.slug === 'amazon-bedrock')?.key, 'set', r.stderr);
});

test('no secret is in the log', () => ok(!g.log.includes('CANARY') && !g.log.includes('eyJweb') && !g.log.includes('pod-token'), g.log));

await run(async () => { await g.stop(); await Promise.all([up.stop(), sts.stop(), machine.stop()]); rmSync(home, { recursive: true, force: true }); });
