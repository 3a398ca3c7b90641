#!/bin/bash
# LocalStack runs this inside its container when it is ready.
set -eu
bucket=${BUCKET:-notebooks}

awslocal s3api head-bucket --bucket "$bucket" 2>/dev/null || awslocal s3api create-bucket --bucket "$bucket"
awslocal s3api put-bucket-versioning --bucket "$bucket" --versioning-configuration Status=Enabled
awslocal s3api get-bucket-versioning --bucket "$bucket"
