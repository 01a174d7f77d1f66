package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// runTargets serves the targets until its input ends. It writes where they are.
func runTargets(context.Context) error {
	where := map[string]string{}
	good, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	where["good"] = good.Addr().String()
	go http.Serve(good, http.HandlerFunc(serveGood)) // until the process ends
	for kind, serve := range rude {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		where[kind] = l.Addr().String()
		go accept(l, serve)
	}
	if err := json.NewEncoder(os.Stdout).Encode(where); err != nil {
		return err
	}
	io.Copy(io.Discard, os.Stdin)
	return nil
}

// serveGood takes bodies, sends as many bytes as ?size= asks for, and echoes after an upgrade.
func serveGood(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		echo(w)
		return
	}
	io.Copy(io.Discard, r.Body)
	size, err := strconv.Atoi(r.URL.Query().Get("size"))
	if err != nil {
		size = 100
	}
	w.Header().Set("Content-Length", strconv.Itoa(size))
	for chunk := strings.Repeat("x", 32<<10); size > 0; {
		n, err := io.WriteString(w, chunk[:min(size, len(chunk))])
		if err != nil {
			return
		}
		size -= n
	}
}

func echo(w http.ResponseWriter) {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
	io.Copy(conn, rw)
}

// rude are targets that break the rules, by what they do.
var rude = map[string]func(net.Conn){
	"hang":    func(c net.Conn) { io.Copy(io.Discard, c) },
	"lie":     saying("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort"),
	"breaks":  saying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
	"garbage": saying("\x00\x01\x02 this is no HTTP\r\n\r\n"),
	"resets": func(c net.Conn) {
		readHead(c)
		c.(*net.TCPConn).SetLinger(0)
	},
}

func saying(text string) func(net.Conn) {
	return func(c net.Conn) {
		readHead(c)
		io.WriteString(c, text)
	}
}

func readHead(c net.Conn) {
	for r := bufio.NewReader(c); ; {
		if line, err := r.ReadString('\n'); err != nil || line == "\r\n" {
			return
		}
	}
}

func accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}
