import { describeConservation } from './conservation.ts'

describeConservation(50_000)
