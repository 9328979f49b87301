"""Gatehouse: the rules that its Lambda functions share.

Importing this package or any module of it reads no environment variable, opens no connection and makes no client.
"""
