"""The live part: events flow in, lists flow out."""
