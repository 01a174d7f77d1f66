package lb

import (
	"bytes"
	"strconv"
	"strings"

	"fairlead/internal/lb/http1"
)

// maxLocation is the limit of a redirect's Location in bytes (ALB guide, HTTP 507).
const maxLocation = 8 << 10

var errLocation = &http1.Error{Status: 507, Text: "redirect location longer than 8 KiB"}

// perform does what the action says.
func (ex *exchange) perform(r *http1.Request) {
	switch ex.act.kind {
	case ActionRedirect:
		ex.performRedirect()
	case ActionFixedResponse:
		ex.stats.HTTPFixedResponseCount++
		f := ex.act.fixed
		ex.generate(&generated{status: f.StatusCode, contentType: fixedType(f), body: f.Body})
	default:
		ex.forward(r)
	}
}

func fixedType(f *FixedResponse) string {
	if f.ContentType == "text/plain" {
		return "text/plain; charset=utf-8"
	}
	return f.ContentType
}

func (ex *exchange) performRedirect() {
	location := ex.location(ex.act.redirect)
	if len(location) > maxLocation {
		ex.stats.HTTPRedirectURLLimitExceededCount++
		ex.refuse(errLocation)
		return
	}
	ex.stats.HTTPRedirectCount++
	ex.redirect = location
	g := errorPage(ex.act.redirect.StatusCode)
	g.location = location
	ex.generate(g)
}

// location fills in the parts of the request. The port is always spelled out.
func (ex *exchange) location(r *Redirect) string {
	proto := "http"
	if ex.ln.Protocol == HTTPS {
		proto = "https"
	}
	parts := strings.NewReplacer(
		"#{protocol}", proto,
		"#{host}", string(appendLower(nil, ex.host)),
		"#{port}", strconv.Itoa(int(ex.port())),
		"#{path}", strings.TrimPrefix(string(ex.path), "/"),
		"#{query}", string(ex.query),
	)
	part := func(s, dflt string) string {
		if s == "" {
			s = dflt
		}
		return parts.Replace(s)
	}
	var b strings.Builder
	b.WriteString(strings.ToLower(part(r.Protocol, "#{protocol}")) + "://")
	b.WriteString(part(r.Host, "#{host}") + ":" + part(r.Port, "#{port}"))
	if path := part(r.Path, "/#{path}"); !strings.HasPrefix(path, "/") {
		b.WriteString("/" + path)
	} else {
		b.WriteString(path)
	}
	if q := part(r.Query, "#{query}"); q != "" {
		b.WriteString("?" + strings.ReplaceAll(q, " ", "%20"))
	}
	return noControls(b.String())
}

// noControls removes what must not stand in a header value.
func noControls(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// port is the port of the listener as the client sees it.
func (ex *exchange) port() uint16 {
	if ex.ln.Port != 0 {
		return ex.ln.Port
	}
	return ex.conn.acc.addr.Port()
}

// generated is a response that the load balancer makes itself.
type generated struct {
	status      int
	contentType string
	body        string
	location    string
	close       bool
}

// phrases are the reason phrases of AWS, where they are known; HTTP's are used for the others.
var phrases = map[int]string{
	302: "Found", 401: "Authorization Required", 405: "Not Allowed", 408: "Request Time-out",
	413: "Request Entity Too Large", 414: "Request-URI Too Large",
	503: "Service Temporarily Unavailable", 504: "Gateway Time-out",
}

// errorPage is the HTML page of AWS for a status.
func errorPage(status int) *generated {
	title := strings.TrimSpace(strconv.Itoa(status) + " " + phrase(status))
	return &generated{
		status: status, contentType: "text/html", close: status == 400 || status == 408,
		body: "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" +
			title + "</h1></center>\r\n</body>\r\n</html>\r\n",
	}
}

// refuse answers with an error of the load balancer.
func (ex *exchange) refuse(err *http1.Error) {
	ex.detail = err.Text
	ex.generate(errorPage(err.Status))
}

// generate answers with a response of the load balancer and ends the exchange.
func (ex *exchange) generate(g *generated) {
	ex.status = g.status
	if g.close || ex.expect && !ex.reqDone {
		ex.last()
	}
	ex.countGenerated(g.status)
	ex.down.sendGenerated(ex, g)
	ex.end()
}

func (ex *exchange) countGenerated(status int) {
	if ex.stats == nil {
		return
	}
	switch status / 100 {
	case 3:
		ex.stats.ELB3XX++
	case 4:
		ex.stats.ELB4XX++
	case 5:
		ex.stats.ELB5XX++
	}
	switch status {
	case 500:
		ex.stats.ELB500++
	case 502:
		ex.stats.ELB502++
	case 503:
		ex.stats.ELB503++
	case 504:
		ex.stats.ELB504++
	}
}

// refuse answers a request whose head could not be parsed.
func (l *loop) refuse(c *client, info *connInfo, err error, head []byte) {
	perr, ok := err.(*http1.Error)
	if !ok {
		perr = &http1.Error{Status: 400, Text: err.Error()}
	}
	ex := l.newExchange(c, info)
	c.ex = ex
	ex.received = int64(len(head))
	ex.reqDone = true
	ex.enterAnyhow()
	if line, _, ok := bytes.Cut(head, []byte("\r\n")); ok {
		ex.text = append(ex.text, line[:min(len(line), 1<<10)]...)
		ex.method, ex.target, _ = bytes.Cut(ex.text, []byte(" "))
	}
	c.last = true
	ex.refuse(perr)
}
