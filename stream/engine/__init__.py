"""The engine: it takes frames of many streams and returns a prediction for each sampled frame.

    Engine (engine.py)     streams by name; prepares frames, scores them, makes predictions from the scores
    Labelling              of one stream: smoothing, events and counters
    Scorer (scorer.py)     one network, or a fusion of several (fusion.py), over many streams
    ScoredStream           of one stream: its sampling (sampling.py), its slots of the networks' states, its last scores
    Prepared               a frame that is ready to be scored; when dropped, it leaves snippet and reset to the next one

Each stream has a thread that reads and prepares its frames. One thread scores batches: a batch has one frame of each
stream that has one. So preparation is ahead of scoring. What a reset clears, and when:

                                          rhythm,  state, last  smoothing, open      segments of
                                          stacks   scores       events, counters     the timeline
    Engine.reset, and the next frame       yes      yes          yes                  end
    start, gap, jump back, new size        yes      yes          yes                  end
    gap, because frames were dropped       no       yes          yes                  end
    scores not finite                      no       yes          yes                  end
    a frame that fails, and the next one   yes      yes          yes                  end

The first column is cleared when a frame is prepared, the others when it is scored. The first prediction after that has
the reason in `Prediction.reset`. Segments end in `actionstream.live.timeline`, by `Prediction.reset`. M-TWI's scores of
the whole stream are cleared only where its time jumps back.
"""
