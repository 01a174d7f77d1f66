resource "aws_vpc" "twtech_vpc" {
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = "twtech" }
}

resource "aws_subnet" "twtech_public" {
  count             = 2
  vpc_id            = aws_vpc.twtech_vpc.id
  cidr_block        = cidrsubnet(aws_vpc.twtech_vpc.cidr_block, 8, count.index + 1)
  availability_zone = data.aws_availability_zones.available.names[count.index]
  tags              = { Name = "twtech-public-${count.index + 1}" }
}

resource "aws_internet_gateway" "twtech_igw" {
  vpc_id = aws_vpc.twtech_vpc.id
  tags   = { Name = "twtech" }
}

resource "aws_route_table" "twtech_public" {
  vpc_id = aws_vpc.twtech_vpc.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.twtech_igw.id
  }
  tags = { Name = "twtech-public" }
}

resource "aws_route_table_association" "twtech_public" {
  count          = 2
  subnet_id      = aws_subnet.twtech_public[count.index].id
  route_table_id = aws_route_table.twtech_public.id
}

resource "aws_security_group" "lb_sg" {
  name        = "twtech-lb"
  description = "HTTP and HTTPS from anywhere"
  vpc_id      = aws_vpc.twtech_vpc.id

  dynamic "ingress" {
    for_each = [80, 443]
    content {
      from_port   = ingress.value
      to_port     = ingress.value
      protocol    = "tcp"
      cidr_blocks = ["0.0.0.0/0"]
    }
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "task_sg" {
  name        = "twtech-task"
  description = "HTTP from the load balancer"
  vpc_id      = aws_vpc.twtech_vpc.id

  ingress {
    from_port       = 80
    to_port         = 80
    protocol        = "tcp"
    security_groups = [aws_security_group.lb_sg.id]
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}
