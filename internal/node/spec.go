package node

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/runtime"
)

// discard is the log of a container without a log driver.
const discard = "/dev/null"

// spec turns a container definition into what the runtime is to create.
func (t *Containers) spec(c container, restarts int) runtime.Container {
	spec := runtime.Container{
		ID:                c.runtimeID(t.task.ID, restarts),
		Group:             t.task.ID,
		Image:             t.image(c),
		Labels:            t.labels(c),
		EntryPoint:        c.EntryPoint,
		Command:           c.Command,
		Env:               t.env(c, restarts),
		User:              aws.Val(c.User),
		WorkDir:           aws.Val(c.WorkingDirectory),
		Hostname:          t.hostname(),
		NetNS:             t.node.cfg.NetNS(t.task.ENI),
		ResolvConf:        t.file("resolv.conf"),
		Hosts:             t.file("hosts"),
		CPU:               int64(aws.Val(c.Cpu)),
		Memory:            int64(aws.Val(c.Memory)),
		MemoryReservation: int64(aws.Val(c.MemoryReservation)),
		ReadOnlyRoot:      aws.Val(c.ReadonlyRootFilesystem),
		Privileged:        aws.Val(c.Privileged),
		Mounts:            t.mounts(c),
		Ulimits:           ulimits(c.Ulimits),
		LogPath:           t.logPath(c),
	}
	if p := c.LinuxParameters; p != nil {
		linux(&spec, p)
	}
	for _, s := range c.SystemControls {
		if spec.Sysctls == nil {
			spec.Sysctls = map[string]string{}
		}
		spec.Sysctls[aws.Val(s.Namespace)] = aws.Val(s.Value)
	}
	return spec
}

func linux(spec *runtime.Container, p *ecs.LinuxParameters) {
	if p.Capabilities != nil {
		spec.CapAdd, spec.CapDrop = p.Capabilities.Add, p.Capabilities.Drop
	}
	spec.ShmSize = int64(aws.Val(p.SharedMemorySize))
	for _, m := range p.Tmpfs {
		spec.Mounts = append(spec.Mounts, runtime.Mount{
			Target: aws.Val(m.ContainerPath), SizeMiB: int64(aws.Val(m.Size)), Options: m.MountOptions,
		})
	}
}

func ulimits(list []ecs.Ulimit) []runtime.Ulimit {
	var out []runtime.Ulimit
	for _, u := range list {
		out = append(out, runtime.Ulimit{
			Name: string(u.Name), Soft: int64(aws.Val(u.SoftLimit)), Hard: int64(aws.Val(u.HardLimit)),
		})
	}
	return out
}

// labels are the ones that the ECS agent sets; they win over the definition's dockerLabels.
func (t *Containers) labels(c container) map[string]string {
	labels := map[string]string{}
	for k, v := range c.DockerLabels {
		labels[k] = v
	}
	labels[taskLabel] = t.task.ARN
	labels["com.amazonaws.ecs.container-name"] = c.name()
	labels["com.amazonaws.ecs.cluster"] = t.task.Cluster
	labels["com.amazonaws.ecs.task-definition-family"] = aws.Val(t.def.Family)
	labels["com.amazonaws.ecs.task-definition-version"] = strconv.Itoa(int(aws.Val(t.def.Revision)))
	return labels
}

// env is the definition's environment after what ECS injects, so that the definition wins.
func (t *Containers) env(c container, restarts int) []string {
	env := []string{
		"AWS_EXECUTION_ENV=AWS_ECS_FARGATE",
		"AWS_REGION=" + t.task.Region,
		"AWS_DEFAULT_REGION=" + t.task.Region,
		"HOSTNAME=" + t.hostname(),
	}
	env = append(env, t.metadataEnv(c.runtimeID(t.task.ID, restarts))...)
	for _, kv := range c.Environment {
		env = append(env, aws.Val(kv.Name)+"="+aws.Val(kv.Value))
	}
	return env
}

func (t *Containers) hostname() string {
	return privateDNSName(t.address(), t.task.Region)
}

func (t *Containers) address() string {
	if t.task.Attachment == nil {
		return ""
	}
	return t.task.Attachment.Address
}

// mounts are the task's volumes where the container wants them, those of volumesFrom included.
// Volumes without a source live as long as the task.
func (t *Containers) mounts(c container) []runtime.Mount {
	mounts := t.ownMounts(c, false)
	for _, from := range c.VolumesFrom {
		if i := indexOf(t.all, aws.Val(from.SourceContainer)); i >= 0 {
			mounts = append(mounts, t.ownMounts(t.all[i], aws.Val(from.ReadOnly))...)
		}
	}
	return mounts
}

func (t *Containers) ownMounts(c container, readOnly bool) []runtime.Mount {
	var mounts []runtime.Mount
	for _, m := range c.MountPoints {
		mounts = append(mounts, runtime.Mount{
			Source:   t.volume(aws.Val(m.SourceVolume)),
			Target:   aws.Val(m.ContainerPath),
			ReadOnly: readOnly || aws.Val(m.ReadOnly),
		})
	}
	return mounts
}

func (t *Containers) volume(name string) string {
	i := slices.IndexFunc(t.def.Volumes, func(v ecs.Volume) bool { return aws.Val(v.Name) == name })
	if i >= 0 && t.def.Volumes[i].Host != nil {
		if source := aws.Val(t.def.Volumes[i].Host.SourcePath); source != "" {
			return source
		}
	}
	return t.file(filepath.Join("volumes", name))
}

func (t *Containers) logPath(c container) string {
	if c.LogConfiguration == nil {
		return discard
	}
	return t.file(c.name() + ".log")
}

// file is the path of one of the task's files.
func (t *Containers) file(name string) string {
	return filepath.Join(t.node.cfg.Dir, t.task.ID, name)
}

// dirMode of the task's files: the containers' users need to read them.
const dirMode = 0o755

// writeFiles makes the files that the containers mount.
func (t *Containers) writeFiles() error {
	if err := os.MkdirAll(t.file("volumes"), dirMode); err != nil {
		return fmt.Errorf("make the task's directory: %w", err)
	}
	for _, v := range t.def.Volumes {
		if err := os.MkdirAll(t.volume(aws.Val(v.Name)), dirMode); err != nil {
			return fmt.Errorf("make volume %s: %w", aws.Val(v.Name), err)
		}
	}
	if err := os.WriteFile(t.file("hosts"), []byte(t.hosts()), 0o644); err != nil {
		return fmt.Errorf("write the task's hosts: %w", err)
	}
	var resolv strings.Builder
	for _, server := range t.node.cfg.Nameservers {
		fmt.Fprintln(&resolv, "nameserver", server)
	}
	if err := os.WriteFile(t.file("resolv.conf"), []byte(resolv.String()), 0o644); err != nil {
		return fmt.Errorf("write the task's resolv.conf: %w", err)
	}
	return nil
}

func (t *Containers) hosts() string {
	return "127.0.0.1 localhost\n" + t.address() + " " + t.hostname() + "\n"
}
