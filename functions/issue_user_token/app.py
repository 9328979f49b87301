import json
def handler(event, context):
    import jwt
    return {"statusCode":200,"headers":{"content-type":"application/json"},"body":json.dumps(event)}
