resource "aws_cloudwatch_log_group" "twtech" {
  name              = "/ecs/twtech"
  retention_in_days = 7
}

resource "aws_iam_role" "execution" {
  name = "twtech-task-execution"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_ecs_cluster" "twtech_cluster" {
  name = "twtech"
}

locals {
  log_options = {
    awslogs-group         = aws_cloudwatch_log_group.twtech.name
    awslogs-region        = var.region
    awslogs-stream-prefix = "ecs"
  }
}

resource "aws_ecs_task_definition" "twtech_task" {
  family                   = "twtech-web"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = "256"
  memory                   = "512"
  execution_role_arn       = aws_iam_role.execution.arn

  container_definitions = jsonencode([{
    name             = "twtechwebapp"
    image            = var.image
    essential        = true
    portMappings     = [{ containerPort = 80, protocol = "tcp" }]
    environment      = [{ name = "MESSAGE", value = "web" }]
    logConfiguration = { logDriver = "awslogs", options = local.log_options }
  }])
}

resource "aws_ecs_task_definition" "twtech_api" {
  family                   = "twtech-api"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = "256"
  memory                   = "512"
  execution_role_arn       = aws_iam_role.execution.arn

  container_definitions = jsonencode([{
    name             = "twtechapi"
    image            = var.image
    essential        = true
    portMappings     = [{ containerPort = 80, protocol = "tcp" }]
    environment      = [{ name = "MESSAGE", value = "api" }]
    logConfiguration = { logDriver = "awslogs", options = local.log_options }
  }])
}

resource "aws_ecs_service" "twtech_service" {
  name            = "twtech-web-app"
  cluster         = aws_ecs_cluster.twtech_cluster.id
  task_definition = aws_ecs_task_definition.twtech_task.arn
  launch_type     = "FARGATE"
  desired_count   = var.desired_count

  health_check_grace_period_seconds = 30

  network_configuration {
    subnets          = aws_subnet.twtech_public[*].id
    security_groups  = [aws_security_group.lb_sg.id]
    assign_public_ip = true
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.twtech_tg.arn
    container_name   = "twtechwebapp"
    container_port   = 80
  }

  depends_on = [aws_lb_listener.https]
}

resource "aws_ecs_service" "twtech_api" {
  name            = "twtech-api"
  cluster         = aws_ecs_cluster.twtech_cluster.id
  task_definition = aws_ecs_task_definition.twtech_api.arn
  launch_type     = "FARGATE"
  desired_count   = 1

  health_check_grace_period_seconds = 30

  network_configuration {
    subnets          = aws_subnet.twtech_public[*].id
    security_groups  = [aws_security_group.task_sg.id]
    assign_public_ip = true
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.twtech_api.arn
    container_name   = "twtechapi"
    container_port   = 80
  }

  depends_on = [aws_lb_listener_rule.api_path, aws_lb_listener_rule.admin_host]
}
