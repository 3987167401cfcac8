// The last requests, with who answered and who did not.

import { byId, keyed, show, text } from "/dashboard/dom.js";
import { requestRow } from "/dashboard/request_row.js";

const MOST = 50;

/** Build the page. */
export function build() {
  let slowest = 0;
  text(byId("first-call"), [
    `curl ${location.origin}/v1/chat/completions \\`,
    `  -d '{"model": "free-fast", "messages": [{"role": "user", "content": "Hello!"}]}'`,
  ].join("\n"));
  return {
    root: byId("page-requests"),
    update({ requests }) {
      const newest = [...requests].sort((a, b) => b.at - a.at).slice(0, MOST);
      slowest = Math.max(0, ...newest.map((request) => request.total_ms));
      text(byId("requests-count"), newest.length ? String(newest.length) : "");
      show(byId("silence"), !newest.length);
      show(byId("requests-box"), newest.length);
      keyed(byId("requests"), newest, (request) => `${request.id} ${request.at}`, () => requestRow(() => slowest));
    },
  };
}
