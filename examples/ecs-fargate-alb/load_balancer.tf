resource "aws_acm_certificate" "twtech_cert" {
  certificate_body  = file("${var.certificate_dir}/cert.pem")
  certificate_chain = file("${var.certificate_dir}/chain.pem")
  private_key       = file("${var.certificate_dir}/key.pem")
}

resource "aws_lb" "twtech_alb" {
  name               = "twtech-alb"
  internal           = false
  load_balancer_type = "application"
  security_groups    = [aws_security_group.lb_sg.id]
  subnets            = aws_subnet.twtech_public[*].id

  depends_on = [aws_internet_gateway.twtech_igw]
}

resource "aws_lb_target_group" "twtech_tg" {
  name                 = "twtech-web"
  port                 = 80
  protocol             = "HTTP"
  target_type          = "ip"
  vpc_id               = aws_vpc.twtech_vpc.id
  deregistration_delay = 30

  health_check {
    path                = "/health"
    interval            = 5
    timeout             = 2
    healthy_threshold   = 2
    unhealthy_threshold = 2
    matcher             = "200"
  }
}

resource "aws_lb_target_group" "twtech_api" {
  name                 = "twtech-api"
  port                 = 80
  protocol             = "HTTP"
  target_type          = "ip"
  vpc_id               = aws_vpc.twtech_vpc.id
  deregistration_delay = 30

  health_check {
    path                = "/health"
    interval            = 5
    timeout             = 2
    healthy_threshold   = 2
    unhealthy_threshold = 2
    matcher             = "200"
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.twtech_alb.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"
    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.twtech_alb.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-2016-08"
  certificate_arn   = aws_acm_certificate.twtech_cert.arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.twtech_tg.arn
  }
}

resource "aws_lb_listener_rule" "api_path" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 10

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.twtech_api.arn
  }
  condition {
    path_pattern {
      values = var.api_paths
    }
  }
}

resource "aws_lb_listener_rule" "admin_host" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 20

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.twtech_api.arn
  }
  condition {
    host_header {
      values = ["admin.*"]
    }
  }
}
