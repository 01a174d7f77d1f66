package lb

import "fairlead/internal/lb/http2"

// What the frames mean that concern the link itself, and not what its streams mean.

func (c *h2link) settingsFrame(f *http2.Frame) *http2.Error {
	if f.Stream != 0 {
		return errStreamZero
	}
	if f.Has(http2.Ack) {
		if len(f.Payload) != 0 {
			return errFrameLen
		}
		return nil
	}
	c.settled = true
	var overflow bool
	err := http2.EachSetting(f.Payload, func(id http2.SettingID, v uint32) {
		switch id {
		case http2.InitialWindowSize:
			change := int64(v) - c.peerWindow
			c.peerWindow = int64(v)
			c.role.eachSender(func(s *h2sender) {
				s.window += change
				overflow = overflow || s.window > http2.MaxWindow
			})
		case http2.MaxFrameSize:
			c.peerFrame = int(v)
		case http2.MaxConcurrentStreams:
			c.peerStreams = v
		}
	})
	if err != nil {
		return err
	}
	if overflow {
		return errWindow
	}
	c.out = http2.AppendHeader(c.buffer(), http2.Settings, http2.Ack, 0, 0)
	c.sendBlocked()
	return c.role.nuisance()
}

func (c *h2link) pingFrame(f *http2.Frame) *http2.Error {
	switch {
	case f.Stream != 0:
		return errStreamZero
	case len(f.Payload) != 8:
		return errFrameLen
	case f.Has(http2.Ack):
		c.role.onPong()
		return nil
	}
	c.out = http2.AppendHeader(c.buffer(), http2.Ping, http2.Ack, 0, 8)
	c.out = append(c.out, f.Payload...)
	return c.role.nuisance()
}

func (c *h2link) priorityFrame(f *http2.Frame) *http2.Error {
	switch {
	case f.Stream == 0:
		return errStreamZero
	case len(f.Payload) != 5:
		return onStream(errFrameLen, f.Stream)
	}
	as := http2.Frame{Type: http2.Headers, Flags: http2.HasPrio, Stream: f.Stream,
		Payload: f.Payload}
	if _, err := as.Unpad(); err != nil {
		return onStream(err, f.Stream)
	}
	return c.role.nuisance() // priorities are not used
}

func (c *h2link) resetFrame(f *http2.Frame) *http2.Error {
	if f.Stream == 0 {
		return errStreamZero
	}
	code, err := f.Uint32()
	if err != nil {
		return err
	}
	if _, idle := c.role.sender(f.Stream); idle {
		return errIdle
	}
	return c.role.onReset(f.Stream, http2.Code(code))
}

func (c *h2link) goAwayFrame(f *http2.Frame) *http2.Error {
	if f.Stream != 0 {
		return errStreamZero
	}
	if len(f.Payload) < 8 {
		return errFrameLen
	}
	last := http2.Frame{Payload: f.Payload[:4]}
	id, _ := last.Uint32()
	c.role.onGoAway(id &^ (1 << 31))
	return nil
}

func (c *h2link) windowUpdate(f *http2.Frame) *http2.Error {
	n, err := f.Uint32()
	if err != nil {
		return err
	}
	n &^= 1 << 31
	if f.Stream == 0 {
		if n == 0 {
			return errWindowZero
		}
		if c.window += int64(n); c.window > http2.MaxWindow {
			return errWindow
		}
		c.sendBlocked()
		return nil
	}
	s, idle := c.role.sender(f.Stream)
	switch {
	case idle:
		return errIdle
	case s == nil:
		return c.role.nuisance()
	case n == 0:
		return onStream(errWindowZero, f.Stream)
	}
	if s.window += int64(n); s.window > http2.MaxWindow {
		return onStream(errWindow, f.Stream)
	}
	s.send()
	return nil
}
