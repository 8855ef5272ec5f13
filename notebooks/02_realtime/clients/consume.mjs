// Ask an endpoint from JavaScript: `fetch` is built into Node 18 and later, no package is needed.
//
// On a server only. In a browser every visitor could read the key, and the endpoint would not let the page in anyway:
// let your own server ask, and hand the answer on.

import { text } from "node:stream/consumers";

const key = (await text(process.stdin)).trim();
const wine = { alcohol: 12.4, flavanoids: 2.1, color_intensity: 3.0, proline: 450.0 };

const response = await fetch(process.env.SCORING_URI, {
  method: "POST",
  headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}` },
  body: JSON.stringify({ wines: [wine] }),
  signal: AbortSignal.timeout(30_000),
});
if (response.ok) {
  console.log(JSON.stringify(await response.json()));
} else {
  console.error(`refused with status ${response.status} id ${response.headers.get("x-request-id")}`);
  process.exitCode = 1;
}
