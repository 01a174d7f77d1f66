package ecs_test

import (
	"strings"
	"testing"
)

func TestDefinitionDefaults(t *testing.T) {
	w := newWorld(t)
	out := w.ok("RegisterTaskDefinition", fargate(`"tags":[{"key":"a","value":"b"}],`))
	want(t, out, map[string]string{
		"taskDefinition.taskDefinitionArn":                              `"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1"`,
		"taskDefinition.status":                                         `"ACTIVE"`,
		"taskDefinition.revision":                                       `1`,
		"taskDefinition.cpu":                                            `"256"`,
		"taskDefinition.compatibilities":                                `["EC2","FARGATE"]`,
		"taskDefinition.volumes":                                        `[]`,
		"taskDefinition.placementConstraints":                           `[]`,
		"taskDefinition.containerDefinitions.0.essential":               `true`,
		"taskDefinition.containerDefinitions.0.cpu":                     `0`,
		"taskDefinition.containerDefinitions.0.environment":             `[]`,
		"taskDefinition.containerDefinitions.0.mountPoints":             `[]`,
		"taskDefinition.containerDefinitions.0.volumesFrom":             `[]`,
		"taskDefinition.containerDefinitions.0.systemControls":          `[]`,
		"taskDefinition.containerDefinitions.0.portMappings.0.hostPort": `80`,
		"taskDefinition.containerDefinitions.0.portMappings.0.protocol": `"tcp"`,
		"tags": `[{"key":"a","value":"b"}]`,
	})
	described := w.ok("DescribeTaskDefinition", `{"taskDefinition":"web","include":["TAGS"]}`)
	want(t, described, map[string]string{
		"taskDefinition.containerDefinitions.0.environment": `[]`,
		"tags": `[{"key":"a","value":"b"}]`,
	})
}

func TestDefinitionSizesAreNormalized(t *testing.T) {
	w := newWorld(t)
	body := replace(t, fargate(""), `"256"`, `".5 vCPU"`)
	body = replace(t, body, `"512"`, `"2 GB"`)
	want(t, w.ok("RegisterTaskDefinition", body), map[string]string{
		"taskDefinition.cpu": `"512"`, "taskDefinition.memory": `"2048"`,
	})
}

func TestRevisionsAreNeverReused(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.ok("RegisterTaskDefinition", fargate(""))
	}
	w.ok("DeregisterTaskDefinition", `{"taskDefinition":"web:3"}`)
	want(t, w.ok("DescribeTaskDefinition", `{"taskDefinition":"web"}`),
		map[string]string{"taskDefinition.revision": `2`})
	want(t, w.ok("DescribeTaskDefinition", `{"taskDefinition":"web:3"}`),
		map[string]string{"taskDefinition.status": `"INACTIVE"`})
	w.ok("DeleteTaskDefinitions", `{"taskDefinitions":["web:3"]}`)
	w.refused("DescribeTaskDefinition", `{"taskDefinition":"web:3"}`,
		"ClientException", "Unable to describe task definition.")
	want(t, w.ok("RegisterTaskDefinition", fargate("")),
		map[string]string{"taskDefinition.revision": `4`})
	want(t, w.ok("ListTaskDefinitions", `{"familyPrefix":"web","sort":"DESC","maxResults":2}`),
		map[string]string{"taskDefinitionArns": `[
			"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:4",
			"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:2"]`})
	want(t, w.ok("DeleteTaskDefinitions", `{"taskDefinitions":["web:4"]}`), map[string]string{
		"failures.0.arn":  `"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:4"`,
		"taskDefinitions": `[]`,
	})
}

func TestFamiliesByStatus(t *testing.T) {
	w := newWorld(t)
	w.ok("RegisterTaskDefinition", fargate(""))
	w.ok("RegisterTaskDefinition", strings.Replace(fargate(""), `"web"`, `"worker"`, 1))
	w.ok("DeregisterTaskDefinition", `{"taskDefinition":"worker:1"}`)
	for status, families := range map[string]string{
		"ACTIVE": `["web"]`, "INACTIVE": `["worker"]`, "ALL": `["web","worker"]`,
	} {
		want(t, w.ok("ListTaskDefinitionFamilies", `{"familyPrefix":"w","status":"`+status+`"}`),
			map[string]string{"families": families})
	}
}

func TestDefinitionRefusals(t *testing.T) {
	w := newWorld(t)
	const container = `{"name":"app","image":"nginx","portMappings":[{"containerPort":80}]}`
	for name, c := range map[string]struct{ old, new, code, message string }{
		"name":      {`"name":"app",`, ``, "ClientException", "Container.name should not be null or empty."},
		"image":     {`"image":"nginx",`, ``, "ClientException", "Container.image should not be null or empty."},
		"mode":      {`"awsvpc"`, `"bridge"`, "ClientException", "Fargate only supports network mode ‘awsvpc’."},
		"no mode":   {`"networkMode":"awsvpc",`, ``, "ClientException", "Fargate only supports network mode ‘awsvpc’."},
		"cpu":       {`"cpu":"256",`, ``, "ClientException", "Fargate requires that 'cpu' be defined at the task level."},
		"memory":    {`"memory":"512",`, ``, "ClientException", "Fargate requires that 'memory' be defined at the task level."},
		"pair":      {`"512"`, `"4096"`, "ClientException", "No Fargate configuration exists for given values."},
		"step":      {`"256","memory":"512"`, `"1024","memory":"2500"`, "ClientException", "No Fargate configuration exists for given values."},
		"port":      {`{"containerPort":80}`, `{"containerPort":80,"hostPort":81}`, "ClientException", "When networkMode=awsvpc, the host ports and container ports in port mappings must match."},
		"volume":    {`"image":"nginx"`, `"image":"nginx","mountPoints":[{"sourceVolume":"v","containerPath":"/v"}]`, "ClientException", "Unknown volume 'v'."},
		"privilege": {`"image":"nginx"`, `"image":"nginx","privileged":true`, "ClientException", "Fargate requires that the 'privileged' setting be 'false'"},
		"too big":   {`"image":"nginx"`, `"image":"nginx","memory":1024`, "ClientException", "The 'memory' setting for container 'app' is greater than for the task"},
		"healthy":   {container, container + `,{"name":"b","image":"i","dependsOn":[{"containerName":"app","condition":"HEALTHY"}]}`, "ClientException", "A dependency container with HEALTHY condition must have health check configured."},
		"success":   {container, container + `,{"name":"b","image":"i","dependsOn":[{"containerName":"app","condition":"SUCCESS"}]}`, "ClientException", "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container."},
		"cycle":     {container, `{"name":"a","image":"i","dependsOn":[{"containerName":"b","condition":"START"}]},{"name":"b","image":"i","dependsOn":[{"containerName":"a","condition":"START"}]}`, "ClientException", "Container dependencies cannot be circular."},
		"essential": {`"image":"nginx"`, `"image":"nginx","essential":false`, "ClientException", "All tasks must have at least one essential container."},
		"ulimit":    {`"image":"nginx"`, `"image":"nginx","ulimits":[{"name":"nofile","softLimit":2,"hardLimit":1}]`, "ClientException", "Soft limit exceeds hard limit for ulimit nofile"},
		"dns":       {`"image":"nginx"`, `"image":"nginx","dnsServers":["1.1.1.1"]`, "ClientException", "DNS servers are not supported on container when networkMode=awsvpc."},
		"stop low":  {`"image":"nginx"`, `"image":"nginx","stopTimeout":1`, "ClientException", "The stopTimeout and startTimeout settings for container 'app' must be between 2 and 120."},
		"stop high": {`"image":"nginx"`, `"image":"nginx","stopTimeout":121`, "ClientException", "The stopTimeout and startTimeout settings for container 'app' must be between 2 and 120."},
		"start":     {`"image":"nginx"`, `"image":"nginx","startTimeout":121`, "ClientException", "The stopTimeout and startTimeout settings for container 'app' must be between 2 and 120."},
		"restart":   {`"image":"nginx"`, `"image":"nginx","restartPolicy":{"enabled":true,"restartAttemptPeriod":59}`, "ClientException", "The restartAttemptPeriod of container 'app' must be between 60 and 1800."},
		"shm":       {`"image":"nginx"`, `"image":"nginx","linuxParameters":{"sharedMemorySize":64}`, "ClientException", "Fargate compatible task definitions do not support sharedMemorySize"},
		"role":      {`"image":"nginx"`, `"image":"nginx","logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"g","awslogs-region":"r","awslogs-stream-prefix":"p"}}`, "ClientException", "Fargate requires task definition to have execution role ARN to support log driver awslogs."},
		"storage":   {`"cpu":"256"`, `"cpu":"256","ephemeralStorage":{"sizeInGiB":20}`, "ClientException", "EphemeralStorage size should be at least 21"},
		"inference": {`"cpu":"256"`, `"cpu":"256","inferenceAccelerators":[{"deviceName":"d","deviceType":"t"}]`, "ClientException", "Unsupported field 'inferenceAccelerators'"},
		"secrets":   {`"image":"nginx"`, `"image":"nginx","secrets":[{"name":"a","valueFrom":"b"}]`, "UnsupportedFeatureException", "Fairlead does not serve secrets yet."},
		"firelens":  {`"image":"nginx"`, `"image":"nginx","firelensConfiguration":{"type":"fluentbit"}`, "UnsupportedFeatureException", "Fairlead does not serve FireLens"},
		"efs":       {`"cpu":"256"`, `"cpu":"256","volumes":[{"name":"v","efsVolumeConfiguration":{"fileSystemId":"fs-1"}}]`, "UnsupportedFeatureException", "Fairlead does not serve EFS volumes yet."},
		"driver":    {`"image":"nginx"`, `"image":"nginx","logConfiguration":{"logDriver":"splunk"}`, "UnsupportedFeatureException", "Fairlead does not serve the log driver splunk yet."},
	} {
		t.Run(name, func(t *testing.T) {
			w.refused("RegisterTaskDefinition", replace(t, fargate(""), c.old, c.new), c.code, c.message)
		})
	}
}

func TestBridgeDefinitionIsNotFargates(t *testing.T) {
	w := newWorld(t)
	body := replace(t, fargate(""), `"requiresCompatibilities":["FARGATE"],"networkMode":"awsvpc",`, ``)
	want(t, w.ok("RegisterTaskDefinition", body), map[string]string{
		"taskDefinition.networkMode":                                    `"bridge"`,
		"taskDefinition.compatibilities":                                `["EXTERNAL","EC2"]`,
		"taskDefinition.containerDefinitions.0.portMappings.0.hostPort": `0`,
	})
}
