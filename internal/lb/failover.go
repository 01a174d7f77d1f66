package lb

import (
	"bytes"
	"slices"

	"fairlead/internal/lb/http1"
)

// maxFailovers is how many further targets a request is offered to when one cannot be reached; our
// own.
const maxFailovers = 3

// unreachable is called when no connection to the target came about, so that nothing of the request
// was sent. Other than AWS, which answers 502 (ALB guide, troubleshooting: "TCP RST … when attempting
// to establish a connection"), the request then goes to another target: between the death of a task
// and the moment that somebody notices, none is lost but those that were inside.
func (ex *exchange) unreachable(status int, detail string) {
	ex.up = nil
	if status != 502 || !ex.failOver() {
		ex.fail(status, detail)
	}
}

// failOver sends the request to a target that was not tried yet, and says whether there was one.
func (ex *exchange) failOver() bool {
	if ex.phase != waiting || ex.bodySent || len(ex.tried) == maxFailovers {
		return false
	}
	ex.tried = append(ex.tried, ex.tgt)
	t := ex.untried()
	if t == nil {
		return false
	}
	ex.tgt.outstanding.Add(-1)
	t.outstanding.Add(1)
	ex.tgt = t
	if ex.grp.Stickiness.Type == LBCookie {
		ex.cookies = slices.DeleteFunc(ex.cookies, namesTarget)
		ex.setTargetCookie(t)
	}
	ex.connect(true)
	if ex.acceptsBody() {
		ex.roomUp() // over a connection that stands already
	}
	return true
}

// untried is the next usable target in turn that was not tried.
func (ex *exchange) untried() *target {
	targets := ex.grp.usable.Load().zone(ex.grp, ex.conn.acc.bind.Zone).targets
	turn := &ex.grp.turns[ex.loop.id]
	*turn++
	for i := range targets {
		t := targets[(int(*turn)+i)%len(targets)]
		if !slices.Contains(ex.tried, t) {
			return t
		}
	}
	return nil
}

// namesTarget says whether a cookie binds the client to a target.
func namesTarget(f http1.Field) bool {
	name, _, _ := bytes.Cut(f.Value, []byte("="))
	return string(name) == targetCookie || string(name) == targetCookie+corsSuffix
}
