variable "region" {
  description = "Region to build in."
  type        = string
  default     = "us-east-1"
}

variable "image" {
  description = "Image of both services. fairlead/hello is built into Fairlead."
  type        = string
  default     = "fairlead/hello:latest"
}

variable "desired_count" {
  description = "Tasks of the web service."
  type        = number
  default     = 2
}

variable "api_paths" {
  description = "Paths that the API serves."
  type        = list(string)
  default     = ["/api/*"]
}

variable "certificate_dir" {
  description = "Directory of cert.pem, key.pem and chain.pem, as `fairlead cert new` writes them."
  type        = string
  default     = "./certificate"
}
