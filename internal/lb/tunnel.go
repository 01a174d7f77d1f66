package lb

// A tunnel is what is left of an exchange after 101 Switching Protocols: bytes in both directions,
// with the end of each direction passed on for itself.

// tunnelled says that bytes have no meaning any more.
func (ex *exchange) tunnelled() bool { return ex.phase == tunnel }

// tunnelUp sends bytes of the client to the target and returns how many it took.
func (ex *exchange) tunnelUp(p []byte) int {
	if !ex.acceptsBody() {
		return 0
	}
	ex.touch()
	ex.received += int64(len(p))
	ex.up.sendBody(p)
	return len(p)
}

// clientEOF passes on that the client will send no more. The second end closes the tunnel.
func (ex *exchange) clientEOF() {
	if ex.eofUp {
		return
	}
	ex.eofUp = true
	ex.up.sendEnd(nil)
	ex.closeTunnel()
}

// targetEOF passes on that the target will send no more.
func (ex *exchange) targetEOF() {
	if ex.eofDown {
		return
	}
	ex.eofDown = true
	ex.down.sendEnd(nil)
	ex.closeTunnel()
}

func (ex *exchange) closeTunnel() {
	if ex.eofUp && ex.eofDown {
		up := ex.up
		ex.up = nil
		up.release(false)
		ex.last() // nothing can be said on the client's connection any more
		ex.end()
	}
}
