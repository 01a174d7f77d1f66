// Hello is the program in the image fairlead/hello, which Fairlead carries so that a first
// service runs without a registry: a small HTTP server that says who answered, echoes what
// arrived and misbehaves on demand. GET /help lists what it can do.
//
// It has three modes:
//
//	hello                 serve, see Environment below
//	hello --check URL     exit 0 if URL answers with a status below 400: a health check's CMD
//	hello --print TEXT --exit CODE   print, exit: a one-shot task; also --sleep DURATION,
//	                      --env NAME, --cat FILE, --write FILE, --memory MIB, --echo LINES
//
// Under the names sh, curl and wget it does what health checks need of them, see shell.go; sh without
// arguments asks for commands, for a look around with aws ecs execute-command.
//
// Environment:
//
//	PORT              ports of HTTP/1.1 and cleartext HTTP/2, separated by commas; 80
//	HTTPS_PORT        ports of HTTPS with a certificate made at the start; none
//	TCP_PORT          ports that send back what arrives; none
//	UDP_PORT          ports that send datagrams back; none
//	MESSAGE           what the page says; "Hello from Fairlead"
//	DRAIN_TIMEOUT     how long requests in flight may take after SIGTERM; 25s
//	IGNORE_SIGTERM    true to go on after SIGTERM
//	START_DELAY       how long to wait before listening; 0s
//	FAIL_HEALTH       true to begin with a failing /health
//	FAIL_PATH         a path that is answered 500; none
package main

import (
	"bufio"
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetOutput(os.Stdout)
	if code, ok := applet(os.Args); ok {
		os.Exit(code)
	}
	var (
		check   = flag.String("check", "", "ask `URL` and exit with 0 if the status is below 400")
		timeout = flag.Duration("timeout", 5*time.Second, "limit of --check")
		shot    oneShot
	)
	flag.StringVar(&shot.text, "print", "", "print `TEXT` and exit")
	flag.StringVar(&shot.env, "env", "", "print the variable `NAME` and exit")
	flag.StringVar(&shot.cat, "cat", "", "print the `FILE` and exit")
	flag.StringVar(&shot.write, "write", "", "create the `FILE` and exit, with 1 if that fails")
	flag.IntVar(&shot.memory, "memory", 0, "use so many `MiB` before exiting")
	flag.IntVar(&shot.echo, "echo", 0, "read so many `LINES`, print each, and exit")
	flag.DurationVar(&shot.pause, "sleep", 0, "wait before exiting")
	flag.IntVar(&shot.code, "exit", -1, "exit with `CODE`")
	flag.Parse()
	switch {
	case *check != "":
		os.Exit(checkURL(*check, *timeout))
	case shot != (oneShot{code: -1}):
		os.Exit(shot.run())
	}
	if err := serve(settingsFrom(os.Getenv)); err != nil {
		log.Fatal("hello: ", err)
	}
}

// checkURL returns the exit code of a health check.
func checkURL(url string, timeout time.Duration) int {
	client := http.Client{Timeout: timeout}
	response, err := client.Get(url)
	if err != nil {
		log.Print(err)
		return 1
	}
	defer response.Body.Close()
	log.Print(response.Status)
	if response.StatusCode >= http.StatusBadRequest {
		return 1
	}
	return 0
}

// oneShot is the life of a one-shot task, in the order of its fields.
type oneShot struct {
	text, env  string
	cat, write string
	memory     int
	echo       int
	pause      time.Duration
	code       int
}

func (o oneShot) run() int {
	if o.text != "" {
		log.Print(o.text)
	}
	if o.env != "" {
		log.Print(os.Getenv(o.env))
	}
	if err := o.files(); err != nil {
		log.Print(err)
		return 1
	}
	lines := bufio.NewScanner(os.Stdin)
	for n := 0; n < o.echo && lines.Scan(); n++ {
		log.Print("heard ", lines.Text())
	}
	hoard := allocate(o.memory)
	time.Sleep(o.pause)
	runtime.KeepAlive(hoard)
	return max(o.code, 0)
}

func (o oneShot) files() error {
	if o.write != "" {
		if err := os.WriteFile(o.write, []byte("hello\n"), 0o644); err != nil {
			return err
		}
	}
	if o.cat == "" {
		return nil
	}
	content, err := os.ReadFile(o.cat)
	if err != nil {
		return err
	}
	log.Print(string(content))
	return nil
}

// settings are the environment, read.
type settings struct {
	http, https, tcp, udp []string
	message               string
	drain, delay          time.Duration
	ignoreTerm, failing   bool
	broken                string // path that is answered 500
}

func settingsFrom(getenv func(string) string) settings {
	ports := func(name string) []string {
		return strings.FieldsFunc(getenv(name), func(r rune) bool { return r == ',' || r == ' ' })
	}
	wait := func(name string, otherwise time.Duration) time.Duration {
		d, err := time.ParseDuration(getenv(name))
		if err != nil {
			return otherwise
		}
		return d
	}
	yes := func(name string) bool {
		on, _ := strconv.ParseBool(getenv(name))
		return on
	}
	s := settings{
		http: ports("PORT"), https: ports("HTTPS_PORT"), tcp: ports("TCP_PORT"),
		udp:        ports("UDP_PORT"),
		message:    cmp.Or(getenv("MESSAGE"), "Hello from Fairlead"),
		drain:      wait("DRAIN_TIMEOUT", 25*time.Second),
		delay:      wait("START_DELAY", 0),
		ignoreTerm: yes("IGNORE_SIGTERM"),
		failing:    yes("FAIL_HEALTH"),
		broken:     getenv("FAIL_PATH"),
	}
	if getenv("PORT") == "" {
		s.http = []string{"80"}
	}
	return s
}

// serve listens until a signal ends it.
func serve(s settings) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	time.Sleep(s.delay)
	h := newHello(s, identify(os.Getenv))
	servers, err := h.listen(s)
	if err != nil {
		return err
	}
	log.Printf("hello %s listens on %s", h.who.Version, strings.Join(servers.addresses, ", "))
	for sig := range signals {
		if s.ignoreTerm && sig == syscall.SIGTERM {
			log.Print("SIGTERM ignored")
			continue
		}
		log.Printf("%s: finishing requests in flight", name(sig))
		break
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.drain)
	defer cancel()
	if err := servers.shutdown(ctx); err != nil {
		return fmt.Errorf("finish requests: %w", err)
	}
	log.Print("bye")
	return nil
}

func name(sig os.Signal) string {
	if sig == syscall.SIGTERM {
		return "SIGTERM"
	}
	return "SIGINT"
}
