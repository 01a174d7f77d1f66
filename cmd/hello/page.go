package main

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

// index is a page for browsers, JSON for whoever asks for it, one line for the rest.
func (h *hello) index(w http.ResponseWriter, r *http.Request) {
	accept := r.Header.Get("Accept")
	switch {
	case strings.Contains(accept, "text/html"):
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, page, html.EscapeString(h.message), html.EscapeString(h.who.Version),
			html.EscapeString(h.who.Task), html.EscapeString(h.who.Host),
			h.requests.Load(), html.EscapeString(r.URL.RequestURI()), hue(h.who.Host+h.who.Task))
	case strings.Contains(accept, "application/json"):
		h.echo(w, r)
	default:
		fmt.Fprintf(w, "%s: version %s, task %s, host %s, path %s\n",
			h.message, h.who.Version, h.who.Task, h.who.Host, r.URL.Path)
	}
}

// hue gives every task its own colour, so that balancing is seen when the page is reloaded.
func hue(name string) int {
	sum := 0
	for _, b := range []byte(name) {
		sum = (sum*31 + int(b)) % 360
	}
	return sum
}

const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>%[1]s</title>
<meta name="viewport" content="width=device-width">
<style>
body{font:18px/1.6 system-ui,sans-serif;margin:0;display:grid;place-items:center;
min-height:100vh;background:hsl(%[7]d 45%% 94%%);color:#1c2330}
main{background:#fff;padding:2.5rem 3rem;border-radius:14px;
box-shadow:0 8px 40px hsl(%[7]d 40%% 40%%/.2);border-top:8px solid hsl(%[7]d 60%% 50%%)}
h1{margin:0 0 1rem;font-size:1.7rem}dl{display:grid;grid-template-columns:auto 1fr;gap:.2rem 1.5rem}
dt{color:#68707f}dd{margin:0;font-family:ui-monospace,monospace;font-size:.9em}a{color:inherit}
</style></head><body><main>
<h1>%[1]s</h1>
<dl><dt>version</dt><dd>%[2]s</dd><dt>task</dt><dd>%[3]s</dd><dt>host</dt><dd>%[4]s</dd>
<dt>request</dt><dd>no. %[5]d, %[6]s</dd></dl>
<p><a href="/help">what else it can do</a></p>
</main></body></html>
`

func (h *hello) help(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, help)
}

const help = `fairlead/hello

/                   who answered: a page, JSON (Accept: application/json) or a line of text
/echo               the request as JSON, with up to 1 MiB of its body; also /echo/anything
/env                the environment as JSON
/health             200 ok, or 500 after /health/fail
/health/fail        let /health fail; ?all=1 lets everything fail
/health/ok          and be well again
/status/503         answer with this status
/sleep/2s           answer after this time
/stream?n=10&every=1s   lines one by one; as server-sent events with Accept: text/event-stream
/bytes/1000000      so many bytes
/memory/64          allocate so many MiB and keep them
/cpu/5s             keep a core busy
/exit/3             end the process with this code
/abort              break the connection without an answer

Everywhere: ?sleep=2s waits before answering, ?status=503 replaces the status.
Every answer carries X-Hello-Task, X-Hello-Host and X-Hello-Version.
`
