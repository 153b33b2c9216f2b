"""One module for each contender, one function for each question that it can answer.

A function gets the `Setup`, imports and configures what it needs, and returns the job: what is measured is the call
of the job and nothing before it. A job returns what a user wanted; `check_<question>` tells, unmeasured, what is in it.
"""
