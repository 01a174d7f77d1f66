# A web service and an API behind one HTTPS load balancer, as one would write it for AWS.
#
# It needs no endpoints {} block: eval "$(bin/fairlead env)" points the provider at Fairlead.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60"
    }
  }
}

provider "aws" {
  region = var.region
}

data "aws_availability_zones" "available" {
  state = "available"
}
