package lb

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// A gRPC client and server of grpc-go, with the load balancer between them: a unary call, a stream
// from the server, and an error of the server.
func TestGRPC(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, state := grpc.NewServer(), health.NewServer()
	healthpb.RegisterHealthServer(srv, state)
	go srv.Serve(ln)
	t.Cleanup(srv.Stop)
	g := h2Group(netip.MustParseAddrPort(ln.Addr().String()), GRPC, HTTP)
	g.HealthCheck = HealthCheck{Path: "/grpc.health.v1.Health/Check", Matcher: "0",
		Interval: time.Second}
	g.Targets[0].LastHealth = ""
	f := serve(t, g, secure(certFor(t, "c", false, "a.example")))
	waitFor(t, func() bool { return f.Health()[0].State == Healthy })

	conn, err := grpc.NewClient(f.addr(), grpc.WithTransportCredentials(
		credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	client := healthpb.NewHealthClient(conn)
	resp, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil || resp.Status != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("unary call: %v %v", resp, err)
	}
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "nope"}); err == nil {
		t.Error("the error of the server got lost")
	}
	stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{Service: "s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{
		healthpb.HealthCheckResponse_SERVICE_UNKNOWN, healthpb.HealthCheckResponse_SERVING,
		healthpb.HealthCheckResponse_NOT_SERVING,
	} {
		got, err := stream.Recv()
		if err != nil || got.Status != want {
			t.Fatalf("stream: %v %v, want %v", got, err, want)
		}
		next := healthpb.HealthCheckResponse_SERVING
		if want == next {
			next = healthpb.HealthCheckResponse_NOT_SERVING
		}
		state.SetServingStatus("s", next)
	}
	if n := f.Stats().Groups["g"].GrpcRequestCount; n != 3 {
		t.Errorf("GrpcRequestCount = %d, want 3", n)
	}
}

// Without a server, a gRPC client learns UNAVAILABLE from the error page.
func TestGRPCUnavailable(t *testing.T) {
	g := groupOf("g")
	g.Version = GRPC
	f := serve(t, g, secure(certFor(t, "c", false, "a.example")))
	conn, err := grpc.NewClient(f.addr(), grpc.WithTransportCredentials(
		credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("%v", err)
	}
}

// A WebSocket of gorilla's through the load balancer, plain and over TLS.
func TestWebSocket(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		up := websocket.Upgrader{EnableCompression: true}
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for {
			kind, data, err := c.ReadMessage()
			if err != nil {
				return
			}
			c.WriteMessage(kind, data)
		}
	})
	for scheme, change := range map[string]func(*Listener){
		"ws": func(*Listener) {}, "wss": secure(certFor(t, "c", false, "a.example")),
	} {
		f := serve(t, unprobed(groupOf("g", addr)), change)
		dialer := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			EnableCompression: true}
		c, _, err := dialer.Dial(scheme+"://"+f.addr()+"/chat", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{1, 1000, 1 << 20} {
			c.WriteMessage(websocket.BinaryMessage, make([]byte, size))
			_, data, err := c.ReadMessage()
			if err != nil || len(data) != size {
				t.Fatalf("%s: %d bytes came back as %d, %v", scheme, size, len(data), err)
			}
		}
		c.Close()
		waitFor(t, func() bool { return f.Outstanding(f.Health()[0].TargetKey) == 0 })
		if rs := f.allRecords(); len(rs) != 1 || rs[0].Type != scheme || rs[0].Status != 101 {
			t.Errorf("%s: records %+v", scheme, rs)
		}
	}
}

// TestGRPCInterop runs grpc-go's interoperability client against grpc-go's server. A case that fails
// ends the test's process with its reason.
// https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md
func TestGRPCInterop(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(srv, interop.NewTestServer())
	go srv.Serve(ln)
	t.Cleanup(srv.Stop)
	f := serve(t, h2Group(netip.MustParseAddrPort(ln.Addr().String()), GRPC, HTTP),
		secure(certFor(t, "c", false, "a.example")))
	conn, err := grpc.NewClient(f.addr(), grpc.WithTransportCredentials(
		credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := testgrpc.NewTestServiceClient(conn)
	calls := []func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption){
		interop.DoEmptyUnaryCall, interop.DoLargeUnaryCall, interop.DoClientStreaming,
		interop.DoServerStreaming, interop.DoPingPong, interop.DoEmptyStream,
		interop.DoTimeoutOnSleepingServer, interop.DoCancelAfterBegin,
		interop.DoCancelAfterFirstResponse, interop.DoCustomMetadata,
		interop.DoStatusCodeAndMessage, interop.DoSpecialStatusMessage,
	}
	for _, call := range calls {
		call(t.Context(), client)
	}
	interop.DoUnimplementedMethod(t.Context(), conn)
	interop.DoUnimplementedService(t.Context(), testgrpc.NewUnimplementedServiceClient(conn))
}
