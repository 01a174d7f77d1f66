package elbv2

// hostedZone returns the Route 53 hosted zone that the names of Application Load Balancers of a
// region are in. See https://docs.aws.amazon.com/general/latest/gr/elb.html; a region that is not
// in the table here gets that of us-east-1.
func hostedZone(region string) string {
	switch region {
	case "us-east-2":
		return "Z3AADJGX6KTTL2"
	case "us-west-1":
		return "Z368ELLRRE2KJ0"
	case "us-west-2":
		return "Z1H1FL5HABSF5"
	case "ca-central-1":
		return "ZQSVJUPU6J1EY"
	case "sa-east-1":
		return "Z2P70J7HTTTPLU"
	case "eu-west-1":
		return "Z32O12XQLNTSW2"
	case "eu-west-2":
		return "ZHURV8PSTC4K8"
	case "eu-west-3":
		return "Z3Q77PNBQS71R4"
	case "eu-central-1":
		return "Z215JYRZR1TBD5"
	case "eu-north-1":
		return "Z23TAZ6LKFMNIO"
	case "ap-northeast-1":
		return "Z14GRHDCWA56QT"
	case "ap-northeast-2":
		return "ZWKZPGTI48KDX"
	case "ap-northeast-3":
		return "Z5LXEXXYW11ES"
	case "ap-southeast-1":
		return "Z1LMS91P8CMLE5"
	case "ap-southeast-2":
		return "Z1GM3OXH4ZPM65"
	case "ap-south-1":
		return "ZP97RAFLXTNZK"
	case "af-south-1":
		return "Z268VQBMOI5EKX"
	case "me-south-1":
		return "ZS929ML54UICD"
	case "us-gov-west-1":
		return "Z33AYJ8TM3BH4J"
	case "us-gov-east-1":
		return "Z166TLBEWOO7G0"
	default:
		return "Z35SXDOTRQ7X7K"
	}
}
