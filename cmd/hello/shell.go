package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The image has no shell, but the health check that most task definitions have is
//
//	CMD-SHELL curl -f http://localhost/ || exit 1
//
// so hello also answers to the names sh, curl and wget, and understands that much: commands
// joined by &&, || and ;, quotes, and the commands below. Anything else is refused.

// Exit codes of shells.
const (
	exitUsage    = 2
	exitNotFound = 127
	exitCurlFail = 22
)

// curlTimeout is the limit of a request unless the command says otherwise.
const curlTimeout = 30 * time.Second

// applet runs the program that argv names, if it is not hello.
func applet(argv []string) (code int, ok bool) {
	switch filepath.Base(argv[0]) {
	case "sh":
		switch {
		case len(argv) == 1:
			return converse(os.Stdin, os.Stdout), true
		case len(argv) < 3 || argv[1] != "-c":
			log.Print("sh: only sh, and sh -c COMMAND")
			return exitUsage, true
		}
		return shell(argv[2]), true
	case "curl", "wget":
		return fetch(argv[1:]), true
	}
	return 0, false
}

// exitNow ends the script, beyond what && and || decide.
type exitNow int

// shell runs a script and returns its exit code.
func shell(script string) (code int) {
	tokens, err := tokenize(script)
	if err != nil {
		log.Print("sh: ", err)
		return exitUsage
	}
	defer func() {
		if exit, ok := recover().(exitNow); ok {
			code = int(exit)
		}
	}()
	run, command := true, []string(nil)
	for _, token := range append(tokens, token{text: ";", operator: true}) {
		if !token.operator {
			command = append(command, token.text)
			continue
		}
		if run && len(command) > 0 {
			code = simple(command, code)
		}
		command = nil
		switch token.text {
		case "&&":
			run = code == 0
		case "||":
			run = code != 0
		default:
			run = true
		}
	}
	return code
}

// converse runs the commands that a user types, until exit or the end of the input.
func converse(in io.Reader, out io.Writer) (code int) {
	lines := bufio.NewScanner(in)
	for fmt.Fprint(out, "$ "); lines.Scan(); fmt.Fprint(out, "$ ") {
		words := strings.Fields(lines.Text())
		if len(words) > 0 && words[0] == "exit" {
			if len(words) > 1 {
				code, _ = strconv.Atoi(words[1])
			}
			return code
		}
		code = shell(lines.Text())
	}
	return code
}

// size prints the size of the terminal's window, as stty size does.
func size() int {
	w, err := unix.IoctlGetWinsize(int(os.Stdin.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		log.Print("size: ", err)
		return 1
	}
	log.Print(w.Row, " ", w.Col)
	return 0
}

// simple runs one command; last is the exit code of the one before.
func simple(words []string, last int) int {
	switch words[0] {
	case "exit":
		if len(words) > 1 {
			last, _ = strconv.Atoi(words[1])
		}
		panic(exitNow(last))
	case "true", ":":
		return 0
	case "false":
		return 1
	case "echo":
		log.Print(strings.Join(words[1:], " "))
		return 0
	case "env":
		log.Print(strings.Join(os.Environ(), "\n"))
		return 0
	case "hostname":
		name, _ := os.Hostname()
		log.Print(name)
		return 0
	case "size":
		return size()
	case "sleep":
		seconds, _ := strconv.ParseFloat(strings.Join(words[1:], ""), 64)
		time.Sleep(time.Duration(seconds * float64(time.Second)))
		return 0
	case "curl", "wget":
		return fetch(words[1:])
	case "test", "[":
		return testFile(words[1:])
	}
	log.Printf("sh: %s: not found (this image has no shell, only what health checks need)", words[0])
	return exitNotFound
}

// testFile knows -f and -e.
func testFile(words []string) int {
	if len(words) < 2 || (words[0] != "-f" && words[0] != "-e") {
		log.Print("test: only -f FILE and -e FILE")
		return exitUsage
	}
	if _, err := os.Stat(words[1]); err != nil {
		return 1
	}
	return 0
}

// fetch is curl -f and wget: it asks for the last word that is no option.
func fetch(words []string) int {
	client := http.Client{Timeout: curlTimeout}
	var url string
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "-m" || word == "--max-time" || word == "-T" || word == "--connect-timeout":
			i++
			if seconds, err := strconv.ParseFloat(at(words, i), 64); err == nil && seconds > 0 {
				client.Timeout = time.Duration(seconds * float64(time.Second))
			}
		case word == "-o" || word == "-O" || word == "--output" || word == "-t":
			i++
		case !strings.HasPrefix(word, "-"):
			url = word
		}
	}
	if url != "" && !strings.Contains(url, "://") {
		url = "http://" + url
	}
	response, err := client.Get(url)
	if err != nil {
		log.Print(err)
		return 1
	}
	defer response.Body.Close()
	log.Print(response.Status)
	if response.StatusCode >= http.StatusBadRequest {
		return exitCurlFail
	}
	return 0
}

func at(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return ""
}

// token is a word or an operator.
type token struct {
	text     string
	operator bool
}

// tokenize splits a script into words and operators. Expansion, redirection and pipes are
// refused, except for >/dev/null and 2>&1, which change nothing here.
func tokenize(script string) ([]token, error) {
	script = strings.NewReplacer("2>&1", " ", "1>/dev/null", " ", "2>/dev/null", " ",
		">/dev/null", " ", "> /dev/null", " ").Replace(script)
	var (
		tokens []token
		word   strings.Builder
		open   bool // a word has begun, perhaps with nothing in it yet
	)
	end := func() {
		if open {
			tokens = append(tokens, token{text: word.String()})
		}
		word.Reset()
		open = false
	}
	for i := 0; i < len(script); i++ {
		switch c := script[i]; {
		case c == ' ' || c == '\t':
			end()
		case c == '\'' || c == '"':
			length := strings.IndexByte(script[i+1:], c)
			if length < 0 {
				return nil, fmt.Errorf("unterminated quote in %q", script)
			}
			word.WriteString(script[i+1 : i+1+length])
			open, i = true, i+1+length
		case strings.HasPrefix(script[i:], "&&") || strings.HasPrefix(script[i:], "||"):
			end()
			tokens = append(tokens, token{script[i : i+2], true})
			i++
		case c == ';' || c == '\n':
			end()
			tokens = append(tokens, token{";", true})
		case strings.IndexByte("$`|&<>()*\\", c) >= 0:
			return nil, fmt.Errorf("%q in %q is more shell than this image has", c, script)
		default:
			word.WriteByte(c)
			open = true
		}
	}
	end()
	return tokens, nil
}
