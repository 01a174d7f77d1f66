package main

import "fmt"

// The rivals are tuned as well as we know: keep-alive to the target without limit, pools large
// enough for every client, buffers of 64 KiB where that helps. Traefik comes twice: as it is by
// default, and with its faster, experimental way to targets.

// opponent describes a rival by name.
func opponent(name string) *rival {
	switch name {
	case "haproxy":
		return &rival{name: name, port: 18001, tlsPort: 18444,
			command: "haproxy -db -f haproxy.cfg",
			files:   map[string]string{"haproxy.cfg": haproxyConf}}
	case "nginx":
		return &rival{name: name, port: 18002, tlsPort: 18445,
			command: "nginx -p . -c nginx.conf",
			files:   map[string]string{"nginx.conf": nginxConf}}
	case "caddy":
		return &rival{name: name, port: 18004, tlsPort: 18447,
			command: "caddy run --adapter caddyfile --config Caddyfile",
			files:   map[string]string{"Caddyfile": caddyConf}}
	case "traefik":
		return traefik(name, 18005, 18448, "")
	case "traefik-fast":
		return traefik(name, 18006, 18449, "experimental: {fastProxy: {}}\n")
	}
	panic("no such rival: " + name)
}

func traefik(name string, port, tlsPort int, more string) *rival {
	static := fmt.Sprintf(traefikConf, port, tlsPort) + more
	return &rival{name: name, port: port, tlsPort: tlsPort,
		command: "traefik --configFile=" + name + ".yml",
		files:   map[string]string{name + ".yml": static, "traefik-routes.yml": traefikRoutes}}
}

const targetConf = `
worker_processes 1; daemon off; pid target.pid; error_log target.err; worker_rlimit_nofile 65536;
events { worker_connections 16000; }
http {
  access_log off; keepalive_requests 100000000; keepalive_timeout 3600s; sendfile on;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4;
  scgi_temp_path t5;
  server {
    listen TARGET backlog=4096;
    location = /10k { root DIR; } location = /1m { root DIR; }
    location / { return 200 "hello world, this is a tiny body\n"; }
  }
}
`

const haproxyConf = `
global
  nbthread 1
  maxconn 9000
  tune.bufsize 65536
  tune.pool-high-fd-ratio 90
  tune.pool-low-fd-ratio 80
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  http-reuse always
backend b
  server s TARGET pool-max-conn 4000
frontend f
  bind 127.0.0.1:18001
  bind 127.0.0.1:18444 ssl crt DIR/both.pem alpn h2,http/1.1 ssl-min-ver TLSv1.2
  unique-id-format %[rand,hex]%[rand,hex]%[rand,hex]
  unique-id-header X-Amzn-Trace-Id
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Port %[dst_port]
  default_backend b
`

const nginxConf = `
worker_processes 1; daemon off; pid nginx.pid; error_log nginx.err; worker_rlimit_nofile 65536;
events { worker_connections 16000; }
http {
  access_log off; keepalive_requests 100000000; keepalive_timeout 3600s;
  client_body_temp_path u1; proxy_temp_path u2; fastcgi_temp_path u3; uwsgi_temp_path u4;
  scgi_temp_path u5;
  upstream b { server TARGET; keepalive 4000; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:18002 backlog=4096;
    listen 127.0.0.1:18445 ssl http2 backlog=4096;
    ssl_certificate DIR/cert.pem; ssl_certificate_key DIR/key.pem;
    location / {
      proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_buffers 16 64k; proxy_buffer_size 64k;
      proxy_busy_buffers_size 128k;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Amzn-Trace-Id $request_id;
    }
  }
}
`

const caddyConf = `
{
  admin off
  auto_https off
  default_sni localhost
  log {
    output discard
  }
}
(relay) {
  reverse_proxy TARGET {
    header_up X-Forwarded-Port {http.request.port}
    header_up X-Amzn-Trace-Id {http.request.uuid}
    transport http {
      keepalive 300s
      keepalive_idle_conns_per_host 4096
      compression off
    }
  }
}
:18004 {
  bind 127.0.0.1
  import relay
}
:18447 {
  bind 127.0.0.1
  tls DIR/cert.pem DIR/key.pem
  import relay
}
`

const traefikConf = `
entryPoints:
  web: {address: "127.0.0.1:%d"}
  secure: {address: "127.0.0.1:%d", http: {tls: {}}}
providers: {file: {filename: DIR/traefik-routes.yml}}
serversTransport: {maxIdleConnsPerHost: 4096}
global: {checkNewVersion: false, sendAnonymousUsage: false}
log: {level: ERROR}
`

const traefikRoutes = `
http:
  routers:
    web: {rule: "PathPrefix(\x60/\x60)", service: target, entryPoints: [web]}
    secure: {rule: "PathPrefix(\x60/\x60)", service: target, entryPoints: [secure], tls: {}}
  services:
    target: {loadBalancer: {servers: [{url: "http://TARGET"}]}}
tls:
  certificates: [{certFile: DIR/cert.pem, keyFile: DIR/key.pem}]
`
