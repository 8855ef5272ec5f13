"""The judges of the exercises, one module a lesson, named by the lesson's id. They know only the public SDK.

A judge accepts every right answer, whatever its form; of a wrong one it says what to look at. Reading a judge before
you have tried its exercise spoils it.
"""
