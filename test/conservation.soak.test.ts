import { describeConservation } from './conservation.ts'

describeConservation(20_000)
