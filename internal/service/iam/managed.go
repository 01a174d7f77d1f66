package iam

import (
	"crypto/sha256"
	"encoding/base32"
	"time"

	"fairlead/internal/row"
)

// managedPrefix begins the ARNs of AWS's own policies.
const managedPrefix = "arn:aws:iam::aws:policy/"

// managed are the policies of AWS that can be attached, by path and name: those that ECS, Elastic
// Load Balancing and their usual company ask for. Most are known by name alone.
func managed() map[string]string {
	const serviceRole, slr = "/service-role/", "/aws-service-role/"
	return map[string]string{
		serviceRole + "AmazonECSTaskExecutionRolePolicy": `{"Version":"2012-10-17","Statement":` +
			`[{"Effect":"Allow","Action":["ecr:GetAuthorizationToken",` +
			`"ecr:BatchCheckLayerAvailability","ecr:GetDownloadUrlForLayer","ecr:BatchGetImage",` +
			`"logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`,
		"/AdministratorAccess": `{"Version":"2012-10-17","Statement":` +
			`[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,

		serviceRole + "AmazonEC2ContainerServiceAutoscaleRole":                "",
		serviceRole + "AmazonEC2ContainerServiceEventsRole":                   "",
		serviceRole + "AmazonEC2ContainerServiceRole":                         "",
		serviceRole + "AmazonEC2ContainerServiceforEC2Role":                   "",
		serviceRole + "AmazonECSInfrastructureRolePolicyForServiceConnectTLS": "",
		serviceRole + "AmazonECSInfrastructureRolePolicyForVolumes":           "",
		"/AmazonECSInfrastructureRolePolicyForLoadBalancers":                  "",
		"/AmazonECSInfrastructureRolePolicyForVpcLattice":                     "",
		"/AmazonECS_FullAccess":                                               "",
		"/AmazonEC2ContainerRegistryFullAccess":                               "",
		"/AmazonEC2ContainerRegistryPowerUser":                                "",
		"/AmazonEC2ContainerRegistryReadOnly":                                 "",
		"/AmazonSSMManagedInstanceCore":                                       "",
		"/AmazonSSMReadOnlyAccess":                                            "",
		"/AmazonS3FullAccess":                                                 "",
		"/AmazonS3ReadOnlyAccess":                                             "",
		"/AmazonDynamoDBFullAccess":                                           "",
		"/AmazonSQSFullAccess":                                                "",
		"/AWSCodeDeployRoleForECS":                                            "",
		"/AWSXRayDaemonWriteAccess":                                           "",
		"/CloudWatchAgentServerPolicy":                                        "",
		"/CloudWatchFullAccess":                                               "",
		"/CloudWatchLogsFullAccess":                                           "",
		"/ElasticLoadBalancingFullAccess":                                     "",
		"/PowerUserAccess":                                                    "",
		"/ReadOnlyAccess":                                                     "",
		"/SecretsManagerReadWrite":                                            "",
		slr + "AmazonECSServiceRolePolicy":                                    "",
		slr + "AWSElasticLoadBalancingServiceRolePolicy":                      "",
		slr + "AWSApplicationAutoscalingECSServicePolicy":                     "",
	}
}

func managedPolicies() []row.Policy {
	var all []row.Policy
	for pathName := range managed() {
		p, _ := managedPolicy("arn:aws:iam::aws:policy" + pathName)
		all = append(all, p)
	}
	return all
}

// managedPolicy returns the policy of AWS with this ARN.
func managedPolicy(arn string) (row.Policy, bool) {
	path, name := splitPolicyARN(arn)
	document, ok := managed()[path+name]
	if !ok || path == "" {
		return row.Policy{}, false
	}
	sum := sha256.Sum256([]byte(arn))
	made := time.Date(2015, 2, 6, 0, 0, 0, 0, time.UTC)
	return row.Policy{
		Account:   "aws",
		Name:      name,
		Path:      path,
		ID:        "ANPA" + base32.StdEncoding.EncodeToString(sum[:])[:idTail],
		CreatedAt: made,
		UpdatedAt: made,
		Versions:  []row.PolicyVersion{{Number: 1, Document: document, CreatedAt: made}},
		Default:   1,
		Last:      1,
	}, true
}
