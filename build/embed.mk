# Programs that Fairlead carries: containerd's shim, which must be a binary of its own because its
# plugins clash with containerd's in one process, and hello, the program of the built-in image.
# They are compressed and embedded by internal/runtime/embedded.

GO ?= go
EMBED_DIR := internal/runtime/embedded/bin
EMBED_SHIM := $(EMBED_DIR)/containerd-shim-runc-v2.gz
EMBED_HELLO := $(EMBED_DIR)/hello.gz
EMBED_BUILD = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "-s -w"

.PHONY: embed embed-clean
embed: $(EMBED_SHIM) $(EMBED_HELLO)

$(EMBED_SHIM): go.mod
	$(EMBED_BUILD) -o $(@:.gz=) github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2
	gzip -9 -n -f $(@:.gz=)

$(EMBED_HELLO): go.mod $(wildcard cmd/hello/*.go)
	$(EMBED_BUILD) -o $(@:.gz=) ./cmd/hello
	gzip -9 -n -f $(@:.gz=)

embed-clean:
	rm -f $(EMBED_SHIM) $(EMBED_HELLO)
