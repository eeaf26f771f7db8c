package train

func trainUnigram(r *run) (*model, error) { return nil, nil }
