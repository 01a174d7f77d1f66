package apply

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

const (
	logGroup = "/ecs/twtech"
	cluster  = "twtech"
	trust    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
"Principal":{"Service":"ecs-tasks.amazonaws.com"}}]}`
	rolePolicy = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
)

func (s *stack) logsAndRole(ctx context.Context) error {
	_, err := s.logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: new(logGroup)})
	if err != nil {
		return err
	}
	_, err = s.logs.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{
		LogGroupName: new(logGroup), RetentionInDays: new(int32(7)),
	})
	if err != nil {
		return err
	}
	name := "twtech-task-execution"
	role, err := s.iam.CreateRole(ctx, &iam.CreateRoleInput{
		RoleName: &name, AssumeRolePolicyDocument: new(trust),
	})
	if err != nil {
		return err
	}
	s.role = *role.Role.Arn
	_, err = s.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{
		RoleName: &name, PolicyArn: new(rolePolicy),
	})
	return err
}

func (s *stack) services(ctx context.Context) error {
	_, err := s.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: new(cluster)})
	if err != nil {
		return err
	}
	if err := s.service(ctx, service{
		name: "twtech-web-app", family: "twtech-web", container: "twtechwebapp", message: "web",
		count: 2, targetGroup: s.webGroup, securityGroup: s.lbGroup,
	}); err != nil {
		return err
	}
	return s.service(ctx, service{
		name: "twtech-api", family: "twtech-api", container: "twtechapi", message: "api",
		count: 1, targetGroup: s.apiGroup, securityGroup: s.taskGroup,
	})
}

// service is what differs between the two services.
type service struct {
	name, family, container, message string
	count                            int32
	targetGroup, securityGroup       string
}

func (s *stack) service(ctx context.Context, v service) error {
	def, err := s.ecs.RegisterTaskDefinition(ctx, s.taskDefinition(v))
	if err != nil {
		return err
	}
	_, err = s.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: new(cluster), ServiceName: &v.name, DesiredCount: &v.count,
		TaskDefinition: def.TaskDefinition.TaskDefinitionArn, LaunchType: types.LaunchTypeFargate,
		HealthCheckGracePeriodSeconds: new(int32(30)),
		NetworkConfiguration: &types.NetworkConfiguration{
			AwsvpcConfiguration: &types.AwsVpcConfiguration{
				Subnets: s.subnets, SecurityGroups: []string{v.securityGroup},
				AssignPublicIp: types.AssignPublicIpEnabled,
			},
		},
		LoadBalancers: []types.LoadBalancer{{
			TargetGroupArn: &v.targetGroup, ContainerName: &v.container, ContainerPort: new(int32(80)),
		}},
	})
	return err
}

func (s *stack) taskDefinition(v service) *ecs.RegisterTaskDefinitionInput {
	return &ecs.RegisterTaskDefinitionInput{
		Family: &v.family, Cpu: new("256"), Memory: new("512"), NetworkMode: types.NetworkModeAwsvpc,
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ExecutionRoleArn:        &s.role,
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: &v.container, Image: new("fairlead/hello:latest"), Essential: new(true),
			PortMappings: []types.PortMapping{{ContainerPort: new(int32(80)), Protocol: types.TransportProtocolTcp}},
			Environment:  []types.KeyValuePair{{Name: new("MESSAGE"), Value: &v.message}},
			LogConfiguration: &types.LogConfiguration{
				LogDriver: types.LogDriverAwslogs,
				Options: map[string]string{
					"awslogs-group": logGroup, "awslogs-region": s.cfg.Region,
					"awslogs-stream-prefix": "ecs",
				},
			},
		}},
	}
}
