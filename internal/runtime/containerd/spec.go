package containerd

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"fairlead/internal/runtime"
)

// defaultNofile is the soft and hard limit of open files on Fargate.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
const defaultNofile = 65535

// minShares is the least that the kernel accepts.
const minShares = 2

const kibibytesPerMebibyte = 1024

// withSpec writes the OCI runtime spec.
func (e *Engine) withSpec(c runtime.Container, image client.Image) client.NewContainerOpts {
	return func(ctx context.Context, cl *client.Client, row *containers.Container) error {
		config, err := imageConfig(ctx, image)
		if err != nil {
			return err
		}
		limits, err := rlimits(c.Ulimits)
		if err != nil {
			return err
		}
		args := arguments(c, config)
		if len(args) == 0 {
			return fmt.Errorf("no command specified: neither the image %s nor the container "+
				"definition has one", c.Image)
		}
		return client.WithNewSpec(slices.Concat(
			processOptions(c, config, args, limits),
			mountOptions(c),
			e.namespaceOptions(c),
			privilegeOptions(c),
			e.resourceOptions(c),
		)...)(ctx, cl, row)
	}
}

func imageConfig(ctx context.Context, image client.Image) (ocispec.ImageConfig, error) {
	spec, err := image.Spec(ctx)
	if err != nil {
		return ocispec.ImageConfig{}, fmt.Errorf("read config of %s: %w", image.Name(), err)
	}
	return spec.Config, nil
}

// arguments follows Docker: a new entry point drops the image's command.
func arguments(c runtime.Container, config ocispec.ImageConfig) []string {
	switch {
	case len(c.EntryPoint) > 0:
		return slices.Concat(c.EntryPoint, c.Command)
	case len(c.Command) > 0:
		return slices.Concat(config.Entrypoint, c.Command)
	}
	return slices.Concat(config.Entrypoint, config.Cmd)
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func processOptions(c runtime.Container, config ocispec.ImageConfig, args []string,
	limits []specs.POSIXRlimit) []oci.SpecOpts {
	env := mergeEnv([]string{defaultPath}, config.Env)
	if c.Hostname != "" {
		env = mergeEnv(env, []string{"HOSTNAME=" + c.Hostname})
	}
	options := []oci.SpecOpts{
		oci.WithProcessArgs(args...),
		oci.WithProcessCwd(firstOf(c.WorkDir, config.WorkingDir, "/")),
		func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
			s.Process.Env = mergeEnv(env, c.Env)
			s.Process.Rlimits = limits
			s.Process.NoNewPrivileges = c.NoNewPrivileges
			return nil
		},
	}
	if user := firstOf(c.User, config.User); user != "" {
		options = append(options, oci.WithUser(user), withSupplementaryGroups)
	}
	return options
}

// withSupplementaryGroups looks the user up in the image's /etc/group, as Docker does.
func withSupplementaryGroups(ctx context.Context, cl oci.Client, c *containers.Container,
	s *oci.Spec) error {
	user := strconv.FormatUint(uint64(s.Process.User.UID), 10)
	return oci.WithAdditionalGIDs(user)(ctx, cl, c, s)
}

func firstOf(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

// mergeEnv lets later values win and keeps the order of first appearance.
func mergeEnv(base, more []string) []string {
	merged := slices.Clone(base)
	for _, variable := range more {
		name, _, _ := strings.Cut(variable, "=")
		same := func(other string) bool { return strings.HasPrefix(other, name+"=") }
		if i := slices.IndexFunc(merged, same); i >= 0 {
			merged[i] = variable
			continue
		}
		merged = append(merged, variable)
	}
	return merged
}

func mountOptions(c runtime.Container) []oci.SpecOpts {
	mounts := []specs.Mount{{
		Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup",
		Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"},
	}}
	for _, m := range c.Mounts {
		mounts = append(mounts, ociMount(m))
	}
	for _, file := range []struct{ source, target string }{
		{c.ResolvConf, "/etc/resolv.conf"}, {c.Hosts, "/etc/hosts"},
	} {
		if file.source != "" {
			mounts = append(mounts, ociMount(runtime.Mount{
				Source: file.source, Target: file.target,
			}))
		}
	}
	options := []oci.SpecOpts{oci.WithoutRunMount, oci.WithMounts(mounts)}
	if c.ShmSize > 0 {
		options = append(options, oci.WithDevShmSize(c.ShmSize*kibibytesPerMebibyte))
	}
	if c.ReadOnlyRoot {
		options = append(options, oci.WithRootFSReadonly())
	}
	return options
}

func ociMount(m runtime.Mount) specs.Mount {
	mode := "rw"
	if m.ReadOnly {
		mode = "ro"
	}
	if m.Source != "" {
		return specs.Mount{
			Destination: m.Target, Type: "bind", Source: m.Source,
			Options: append([]string{"rbind", "rprivate", mode}, m.Options...),
		}
	}
	options := []string{"nosuid", "nodev", mode}
	if m.SizeMiB > 0 {
		options = append(options, fmt.Sprintf("size=%dm", m.SizeMiB))
	}
	return specs.Mount{
		Destination: m.Target, Type: "tmpfs", Source: "tmpfs",
		Options: append(options, m.Options...),
	}
}

func (e *Engine) namespaceOptions(c runtime.Container) []oci.SpecOpts {
	var options []oci.SpecOpts
	if e.cgroups.Unified() {
		// As Docker does, so that programs find their limits right in /sys/fs/cgroup.
		options = append(options, oci.WithNamespacedCgroup())
	}
	switch c.NetNS {
	case "":
	case runtime.HostNetwork:
		options = append(options, oci.WithHostNamespace(specs.NetworkNamespace))
	default:
		options = append(options, oci.WithLinuxNamespace(specs.LinuxNamespace{
			Type: specs.NetworkNamespace, Path: c.NetNS,
		}))
	}
	if c.Hostname != "" {
		options = append(options, oci.WithHostname(c.Hostname))
	}
	if len(c.Sysctls) > 0 {
		options = append(options, func(_ context.Context, _ oci.Client,
			_ *containers.Container, s *oci.Spec) error {
			s.Linux.Sysctl = c.Sysctls
			return nil
		})
	}
	return options
}

// privilegeOptions are Docker's defaults, changed as the container asks.
func privilegeOptions(c runtime.Container) []oci.SpecOpts {
	if c.Privileged {
		return []oci.SpecOpts{
			oci.WithPrivileged, oci.WithAllDevicesAllowed, oci.WithHostDevices,
			oci.WithAllCurrentCapabilities,
		}
	}
	var options []oci.SpecOpts
	for _, drop := range c.CapDrop {
		if strings.EqualFold(drop, "ALL") {
			options = append(options, oci.WithCapabilities(nil))
			continue
		}
		options = append(options, oci.WithDroppedCapabilities([]string{capability(drop)}))
	}
	for _, add := range c.CapAdd {
		if strings.EqualFold(add, "ALL") {
			options = append(options, oci.WithAllCurrentCapabilities)
			continue
		}
		options = append(options, oci.WithAddedCapabilities([]string{capability(add)}))
	}
	// The profile depends on the capabilities, so it comes last.
	return append(options, seccomp.WithDefaultProfile())
}

func capability(name string) string {
	return "CAP_" + strings.TrimPrefix(strings.ToUpper(name), "CAP_")
}

func (e *Engine) resourceOptions(c runtime.Container) []oci.SpecOpts {
	options := []oci.SpecOpts{oci.WithCgroup(e.containerCgroup(c.Group, c.ID))}
	if c.CPU > 0 {
		options = append(options, oci.WithCPUShares(uint64(max(minShares, c.CPU))))
	}
	return append(options, func(_ context.Context, _ oci.Client,
		_ *containers.Container, s *oci.Spec) error {
		s.Linux.Resources.Memory = e.memory(c)
		return nil
	})
}

func (e *Engine) memory(c runtime.Container) *specs.LinuxMemory {
	if c.Memory == 0 && c.MemoryReservation == 0 {
		return nil
	}
	memory := &specs.LinuxMemory{}
	if c.Memory > 0 {
		memory.Limit = new(c.Memory * mebibyte)
		if e.cgroups.HasSwapLimit() {
			memory.Swap = memory.Limit // memory and swap together: none of it is swap
		}
	}
	if c.MemoryReservation > 0 {
		memory.Reservation = new(c.MemoryReservation * mebibyte)
	}
	return memory
}

// rlimits turns Docker's names into the kernel's, and refuses what this process may not grant.
func rlimits(ulimits []runtime.Ulimit) ([]specs.POSIXRlimit, error) {
	hard := hardNofile()
	nofile := uint64(defaultNofile)
	if !mayRaiseLimits() {
		nofile = min(nofile, hard)
	}
	limits := []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: nofile, Hard: nofile}}
	for _, u := range ulimits {
		limit := specs.POSIXRlimit{
			Type: "RLIMIT_" + strings.ToUpper(u.Name),
			Soft: uint64(u.Soft), Hard: uint64(u.Hard), // -1 becomes RLIM_INFINITY
		}
		if limit.Type == "RLIMIT_NOFILE" {
			if limit.Hard > hard && !mayRaiseLimits() {
				return nil, fmt.Errorf("ulimit nofile %d is above this machine's limit of %d, "+
					"and Fairlead runs without CAP_SYS_RESOURCE", u.Hard, hard)
			}
			limits[0] = limit
			continue
		}
		limits = append(limits, limit)
	}
	return limits, nil
}

func hardNofile() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return limit.Max
}

// mayRaiseLimits is whether this process has CAP_SYS_RESOURCE.
func mayRaiseLimits() bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(status)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return err == nil && set&(1<<unix.CAP_SYS_RESOURCE) != 0
		}
	}
	return false
}

// specOf reads the spec that a container was created with.
func specOf(row containers.Container) (*specs.Spec, error) {
	var spec specs.Spec
	if err := json.Unmarshal(row.Spec.GetValue(), &spec); err != nil {
		return nil, fmt.Errorf("read spec of %s: %w", row.ID, err)
	}
	return &spec, nil
}
