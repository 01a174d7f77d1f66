package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// kind is one kind of good request.
type kind struct {
	name string
	send func() error
}

// finish reads a response to its end and wants it to be a 200.
func finish(resp *http.Response) error {
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// client speaks one protocol, over connections that are kept or over new ones.
func client(h2, fresh bool) *http.Client {
	t := &http.Transport{MaxIdleConnsPerHost: 256, DisableKeepAlives: fresh,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
	t.Protocols.SetHTTP1(!h2)
	t.Protocols.SetHTTP2(h2)
	return &http.Client{Transport: t, Timeout: answerTime}
}

func get(c *http.Client, url string) func() error {
	return func() error {
		resp, err := c.Get(url)
		if err != nil {
			return err
		}
		return finish(resp)
	}
}

func post(c *http.Client, url string, size int) func() error {
	return func() error {
		resp, err := c.Post(url, "text/plain", strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			return err
		}
		return finish(resp)
	}
}

// mix are all kinds of good traffic, and what closes the connections that they have kept.
func (l *lab) mix() (kinds []kind, leave func()) {
	plain, secure := "http://"+l.at.HTTP, "https://"+l.at.HTTPS
	kept, fresh, h2 := client(false, false), client(false, true), client(true, false)
	leave = func() {
		kept.CloseIdleConnections()
		h2.CloseIdleConnections()
	}
	return []kind{
		{"HTTP/1.1", get(kept, plain+"/")},
		{"HTTP/1.1, new connections", get(fresh, plain+"/")},
		{"TLS", get(kept, secure+"/")},
		{"TLS, new connections", get(fresh, secure+"/")},
		{"HTTP/2", get(h2, secure+"/")},
		{"downloads of 256 KiB", get(kept, plain+"/?size=262144")},
		{"uploads of 256 KiB", post(kept, plain+"/", 256<<10)},
		{"uploads over HTTP/2", post(h2, secure+"/", 64<<10)},
		{"upgrades", upgrade(l.at.HTTP)},
	}, leave
}

// upgrade makes a tunnel, sends something through it and wants it back.
func upgrade(to string) func() error {
	return func() error {
		c, err := net.Dial("tcp", to)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(answerTime))
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		readHead1(c)
		const text = "there and back"
		if _, err := io.WriteString(c, text); err != nil {
			return err
		}
		back := make([]byte, len(text))
		if _, err := io.ReadFull(c, back); err != nil || string(back) != text {
			return fmt.Errorf("the tunnel returns %q, %w", back, err)
		}
		return nil
	}
}

// readHead1 reads a response head byte by byte, for what follows is not ours to take.
func readHead1(c net.Conn) {
	var seen [4]byte
	for string(seen[:]) != "\r\n\r\n" {
		copy(seen[:], seen[1:])
		if _, err := c.Read(seen[3:]); err != nil {
			return
		}
	}
}

// drive sends requests of a kind at a fixed rate until ctx ends, whether they are answered or not,
// and measures from when each was due.
func drive(ctx context.Context, k kind, rate float64) tally {
	var c collector
	var out sync.WaitGroup
	pause := time.Duration(float64(time.Second) / rate)
	for due := time.Now(); sleepUntil(ctx, due); due = due.Add(pause) {
		out.Go(func() {
			err := k.send()
			c.note(time.Since(due), err)
		})
	}
	out.Wait()
	return c.tally()
}
