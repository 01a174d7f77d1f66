output "dns_name" {
  description = "Name of the load balancer."
  value       = aws_lb.twtech_alb.dns_name
}

output "url" {
  description = "Address to open."
  value       = "https://${aws_lb.twtech_alb.dns_name}/"
}

output "cluster" {
  value = aws_ecs_cluster.twtech_cluster.name
}

output "target_groups" {
  value = {
    web = aws_lb_target_group.twtech_tg.arn
    api = aws_lb_target_group.twtech_api.arn
  }
}
