// Watches a pool with the xen-api client and tells on standard output, a JSON object a line:
// {"state": {...}} whenever what the events brought has changed, {"id": n, "result" | "error": ...}
// for each command {"id": n, "call" | "task": [method, ...parameters]} on standard input.
import { createInterface } from 'node:readline'
import { createClient } from 'xen-api'

const { XAPI_URL: url, XAPI_USER: user, XAPI_PASSWORD: password } = process.env
const xapi = createClient({
  url,
  auth: { user, password },
  allowUnauthorized: true,
  debounce: 10,
  eventPollDelay: 50,
  watchEvents: ['host', 'host_metrics', 'pool', 'task'],
})

const say = message => process.stdout.write(JSON.stringify(message) + '\n')

const state = () => {
  const objects = Object.values(xapi.objects.all)
  const hosts = objects.filter(object => object.$type === 'host')
  const pools = objects.filter(object => object.$type === 'pool')
  return {
    pools: pools.map(pool => [pool.uuid, pool.name_label, pool.$master?.address]),
    hosts: hosts.map(host => [host.address, host.enabled, host.$metrics?.live]).sort(),
    asked: xapi._url.hostname,
  }
}

let told
const tell = () => {
  const now = JSON.stringify(state())
  if (now !== told) {
    told = now
    say({ state: state() })
  }
}

console.warn = () => {}
await xapi.connect()
await xapi.objectsFetched
for (const event of ['add', 'update', 'remove', 'finish']) {
  xapi.objects.on(event, tell)
}
tell()

for await (const line of createInterface({ input: process.stdin })) {
  const { id, call, task } = JSON.parse(line)
  try {
    say({ id, result: await (call ? xapi.call(...call) : xapi.callAsync(...task)) ?? null })
  } catch (error) {
    say({ id, error: [error.code ?? String(error), ...(error.params ?? [])] })
  }
  tell()
}
process.exit(0)
