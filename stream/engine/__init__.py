"""The engine: frames of many streams in, a prediction for each that is sampled out.

    Engine (engine.py)     streams by name; prepares frames, scores them, makes predictions of the scores
    Labelling              of one stream: smoothing, events and counters
    Scorer (scorer.py)     one network, or several as one (fusion.py reads which), over many streams
    ScoredStream           of one stream: its sampling (sampling.py), its slots of the networks' states, the last scores
    Prepared               a frame as its stream wants it; what is handed on where it is dropped

A frame is prepared in the thread that reads it, for each stream in its own, and scored in a batch of whoever has one.
So what is prepared is ahead of what is scored. What a reset forgets, and when:

                                          rhythm,  state, last  smoothing, open      segments of
                                          stacks   scores       events, counters     the timeline
    Engine.reset, and the next frame       yes      yes          yes                  end
    start, gap, jump back, new size        yes      yes          yes                  end
    gap, because frames were dropped       no       yes          yes                  end
    scores not finite                      no       yes          yes                  end
    a frame that fails, and the next one   yes      yes          yes                  end

The first column is forgotten when a frame is prepared, the others when it is scored; `Prediction.reset` tells of it
with the first prediction after that. Segments end in `actionstream.live.timeline`, by `Prediction.reset`; M-TWI's
scores of the whole stream are forgotten only where its time jumps back.
"""
